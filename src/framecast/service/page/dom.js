// Small pieces of the document.

export const find = (id) => document.getElementById(id);

// An element with attributes and children; texts are texts, never markup.
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function drawing(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => element("option", { value, selected: `${value}` === `${chosen}` }, text)));
}

let speaking;

// Say something to a screen reader, once it has settled.
export function announce(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => { find("live").textContent = text; }, 400);
}
