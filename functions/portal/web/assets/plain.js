// A page that only needs to be read.

import { ready } from "./page.js";

ready();
