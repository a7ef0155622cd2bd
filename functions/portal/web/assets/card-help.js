// Reading is enough; but what to do about another card depends on the card host.

import "./card-host.js";
import { ready } from "./page.js";

ready();
