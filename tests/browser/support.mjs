// What the pages use of the web's platform, held against what browsers could do two years ago, by MDN's data about them.
//
//     node tests/browser/support.mjs target/tools/npm
//
// The flows run in one browser of today. The pages are for the last two years' Chrome, Edge, Firefox and Safari, and this
// looks up every element and attribute, every selector, property and function of the style sheet, and every member of the
// browser's own objects in the scripts, whose types tell it which those are. What was unknown to any of those browsers must
// stand in `SPARED`, with what people lose there.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [tools = "."] = process.argv.slice(2);
const require = createRequire(resolve(tools, "package.json"));
const mdn = require("@mdn/browser-compat-data");
const { generate, parse: parseCss, walk } = require("css-tree");
const { parse: parseHtml } = require("parse5");
const { SyntaxKind } = require("typescript/unstable/ast");
const { API } = require("typescript/unstable/sync");

const web = resolve(import.meta.dirname, "../../functions/portal/web");

/** What not all of them knew, and what is lost without it. @type {Record<string, string>} */
const SPARED = {
  "css.properties.accent-color": "Safari and Chrome for Android keep its contrast less well; ours has enough",
  "css.properties.cursor.pointer": "an iPad shows its own pointer",
  "css.properties.cursor.progress": "an iPad shows its own pointer",
  "css.properties.forced-color-adjust": "where there are no forced colors nothing is to be adjusted",
  "css.properties.forced-color-adjust.none": "where there are no forced colors nothing is to be adjusted",
  "css.properties.text-size-adjust": "Safari on iOS knows it by its prefix; the others that do not know it never change the size of text",
  "html.elements.link.rel.icon": "an iPhone shows no icon of a page",
  "html.elements.meta.name.viewport": "no window of a desktop is wider than it says",
  "html.global_attributes.autocapitalize": "no keyboard of a desktop writes capitals by itself",
};

// ---- Browsers --------------------------------------------------------------------------------------------------------

const YEARS = 2;
const BROWSERS = ["chrome", "chrome_android", "edge", "firefox", "firefox_android", "safari", "safari_ios"];

/** The Firefox that organizations kept when the two years began, its extended support release. */
const FIREFOX = "128";

/** The version of each that was the newest when the two years began. */
const oldest = Object.fromEntries(BROWSERS.map((browser) => {
  const began = new Date(mdn.__meta.timestamp);
  began.setFullYear(began.getFullYear() - YEARS);
  const released = Object.entries(mdn.browsers[browser].releases)
    .filter(([, { release_date: date }]) => date && new Date(date) <= began)
    .map(([version]) => version);
  return [browser, browser === "firefox" ? FIREFOX : released.sort(byNumber).at(-1)];
}));

/** @param {string} a @param {string} b */
function byNumber(a, b) {
  const [x, y] = [a, b].map((version) => version.split(".").map(Number));
  return x[0] - y[0] || (x[1] ?? 0) - (y[1] ?? 0);
}

/**
 * The browsers that did not know a feature, or not wholly and by its own name.
 * @param {{ support: Record<string, object | object[]> }} compat
 * @returns {string[]}
 */
function strangers({ support }) {
  return BROWSERS.filter((browser) => !(support[browser] === undefined ? [] : [support[browser]].flat()).some((statement) => {
    const { version_added: added, version_removed: removed, flags, partial_implementation: partial, prefix, alternative_name } = statement;
    const version = typeof added === "string" ? added.replace("≤", "") : "";
    return /^[\d.]+$/.test(version) && byNumber(version, oldest[browser]) <= 0
      && !removed && !flags && !partial && !prefix && !alternative_name;
  }));
}

// ---- Features --------------------------------------------------------------------------------------------------------

/** The features that are used, by their names in MDN's data, and where. @type {Map<string, string>} */
const used = new Map();
/** What is used and MDN's data do not know. @type {Map<string, string>} */
const unknown = new Map();

/** @param {string} name its parts are joined by dots, and none of the names has one */
function feature(name) {
  return name.split(".").reduce((at, part) => at?.[part], mdn);
}

/**
 * Notes the use of a feature: of the first of these names that there is one of.
 * @param {string} where
 * @param {string[]} names
 */
function use(where, ...names) {
  const name = names.find((name) => feature(name)?.__compat);
  if (name === undefined) unknown.set(names[0], where);
  else if (!used.has(name)) used.set(name, where);
}

// ---- Pages -----------------------------------------------------------------------------------------------------------

/** Attributes of every element, which ARIA or the page itself gives a meaning. */
const FREE = /^(aria-.+|data-.+|role|xmlns)$/;
/** What `portal` fills in. */
const FILLED_IN = /\{\{.*?\}\}/g;

/** @param {string} file */
function page(file) {
  (function visit(node) {
    const { tagName: tag, attrs = [], content, childNodes = [] } = node;
    if (tag !== undefined) {
      const kind = node.namespaceURI.endsWith("svg") ? "svg" : "html";
      use(file, `${kind}.elements.${tag}`, ...(/^h[1-6]$/.test(tag) ? ["html.elements.Heading_Elements"] : []));
      for (const { name, value } of attrs) {
        if (FREE.test(name)) continue;
        const attribute = `${kind}.elements.${tag}.${name}`;
        const global = `${kind}.global_attributes.${name}`;
        use(file, `${attribute}.${value}`, `${attribute}_${value}`, attribute, `${global}.${value}`, global);
      }
    }
    for (const child of content ? [content] : childNodes) visit(child);
  })(parseHtml(readFileSync(join(web, file), "utf8").replace(FILLED_IN, "")));
}

// ---- Style sheet -----------------------------------------------------------------------------------------------------

/** What all browsers know, and MDN's data do not list. */
const PLAIN_UNITS = new Set(["%", "ch", "deg", "em", "fr", "mm", "ms", "pt", "px", "rem", "s", "vh", "vw"]);

/**
 * The names of what has that last part, somewhere below a feature.
 * @param {string} from
 * @param {string} part
 * @returns {string[]}
 */
function below(from, part) {
  return Object.keys(feature(from) ?? {}).filter((key) => key !== "__compat").flatMap((key) => {
    const name = `${from}.${key}`;
    return [...(key === part ? [name] : []), ...below(name, part)];
  });
}

/** @param {string} file */
function styleSheet(file) {
  walk(parseCss(readFileSync(join(web, file), "utf8"), { parseCustomProperty: true }), function visit(node) {
    const where = `${file}: ${generate(node).slice(0, 60)}`;
    const property = this.declaration?.property ?? "--";
    switch (node.type) {
      case "Atrule":
        return use(where, `css.at-rules.${node.name}`);
      case "Feature":
        return use(where, `css.at-rules.${node.kind}.${node.name}`, `css.at-rules.${node.kind}.${node.name.replace(/^(min|max)-/, "")}`);
      case "PseudoClassSelector":
      case "PseudoElementSelector":
        return use(where, `css.selectors.${node.name}`);
      case "NestingSelector":
        return use(where, "css.selectors.nesting");
      case "Declaration":
        if (!node.property.startsWith("--")) use(where, `css.properties.${node.property}`, `css.properties.${node.property.replace(/^-webkit-/, "")}`);
        return undefined;
      case "Identifier":
        // Most keywords are as old as their property, and are not listed.
        if (feature(`css.properties.${property}.${node.name}`)?.__compat) use(where, `css.properties.${property}.${node.name}`);
        return undefined;
      case "Function":
        return node.name === "var"
          ? use(where, "css.types.var")
          : use(where, `css.properties.${property}.${node.name}`, ...below("css.types", node.name), ...below(`css.properties.${property}`, node.name));
      case "Dimension":
        return PLAIN_UNITS.has(node.unit) ? undefined : use(where, `css.types.length.${node.unit}`, ...below("css.types", node.unit));
      default:
        return undefined;
    }
  });
}

// ---- Scripts ---------------------------------------------------------------------------------------------------------

/** @param {string} config */
function scripts(config) {
  const api = new API();
  const [project] = api.updateSnapshot({ openProjects: [join(web, config)] }).getProjects();
  for (const path of project.rootFiles) {
    /** @type {import("typescript/unstable/ast").Node[]} */
    const names = [];
    project.program.getSourceFile(path).forEachChild(function visit(node) {
      if (node.kind === SyntaxKind.Identifier) names.push(node);
      node.forEachChild(visit);
    });
    project.checker.getSymbolAtLocation(names).forEach((symbol, index) => {
      // Types alone are nothing at run time.
      for (const declaration of symbol?.valueDeclaration ? symbol.declarations : []) {
        if (!/\/lib\.[\w.]+\.d\.ts$/.test(declaration.path)) continue;
        const { parent } = declaration.resolve(project);
        script(path.slice(web.length + 1), symbol.name, parent.name?.text, names[index]);
      }
    });
  }
  api.close();
}

/** Which of MDN's interfaces have what TypeScript's declarations name otherwise, or once for several. @type {Record<string, string[]>} */
const INTERFACES = {
  Body: ["Request", "Response"],
  ChildNode: ["CharacterData", "Element"],
  Console: ["console"],
  GlobalEventHandlers: ["Element"],
  HTMLCollectionBase: ["HTMLCollection"],
  HTMLHyperlinkElementUtils: ["HTMLAnchorElement"],
  HTMLOrSVGElement: ["HTMLElement"],
  ParentNode: ["Document", "DocumentFragment", "Element"],
  WindowSessionStorage: ["Window"],
};
/** Where MDN's data have what is declared anew for each that inherits it. */
const ANCESTORS = ["EventTarget", "Node", "TypedArray"];

/**
 * @param {string} file
 * @param {string} name of a global, or of a member of what `owner` names
 * @param {string | undefined} owner
 * @param {import("typescript/unstable/ast").Node} node
 */
function script(file, name, owner, node) {
  if (name.startsWith("__")) return;
  const { parent } = node;
  const where = `${file}: ${parent.getText().slice(0, 60)}`;
  // The members that a constructor has itself are declared without a name.
  const of = owner ?? (parent.kind === SyntaxKind.PropertyAccessExpression && parent.name === node ? parent.expression.getText() : "Window");
  for (const one of INTERFACES[of] ?? [of.replace(/Constructor$/, "")]) {
    const members = [`${one}.${name}`, `${one}.${name}_static`, ...ANCESTORS.map((ancestor) => `${ancestor}.${name}`)];
    if (name.startsWith("on")) members.push(`${one}.${name.slice(2)}_event`);
    if (of === "Window") members.push(name, `HTMLOptionElement.${name}`);
    use(where, ...members.flatMap((member) => [`api.${member}`, `javascript.builtins.${member}`]));
  }
}

// ---- All of it -------------------------------------------------------------------------------------------------------

for (const file of ["layout.html", ...readdirSync(join(web, "pages")).map((name) => `pages/${name}`)]) page(file);
for (const file of readdirSync(join(web, "pictures"))) page(`pictures/${file}`);
styleSheet("assets/style.css");
scripts("jsconfig.json");

const complaints = [...unknown].map(([name, where]) => `${name} is nothing that MDN's data know (${where})`);
for (const [name, where] of used) {
  const without = strangers(feature(name).__compat);
  if (without.length > 0 && !(name in SPARED)) complaints.push(`${name} was not known to ${without.join(", ")} (${where})`);
}
for (const name of Object.keys(SPARED)) {
  if (!used.has(name) || strangers(feature(name).__compat).length === 0) complaints.push(`${name} needs no sparing`);
}
for (const complaint of complaints) console.error(complaint);
const asked = BROWSERS.map((browser) => `${mdn.browsers[browser].name} ${oldest[browser]}`).join(", ");
console.log(`${used.size} features, ${Object.keys(SPARED).length} of them spared, held against ${asked}: ${complaints.length} complaints`);
process.exit(complaints.length > 0 ? 1 : 0);
