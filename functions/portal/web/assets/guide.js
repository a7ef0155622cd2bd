// A page that is also good on paper.

import { element, ready } from "./page.js";

const print = element("print", HTMLButtonElement);
print.addEventListener("click", () => window.print());
print.hidden = false;
// Paper has no address bar.
element("address", HTMLElement).textContent = location.origin;
ready();
