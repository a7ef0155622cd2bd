import { noteActivated, ready } from "./page.js";

noteActivated();
ready();
