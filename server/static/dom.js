// Elements made by hand. Text goes in as text: no name from outside is ever parsed as markup.

export const byId = (id) => document.getElementById(id);

// element("td", {class: "number", title: "..."}, "text", node, ...); null and undefined children are left out.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function button(text, onClick, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", onClick);
  return made;
}

// Writing a text that is there already would be read out again, and would lose a selection.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A list of [term, description]; descriptions are texts or nodes, missing ones are left out.
export function definitions(pairs) {
  const list = element("dl");
  for (const [term, description] of pairs) {
    if (description === null || description === undefined || description === "") continue;
    list.append(element("div", {}, element("dt", {}, term), element("dd", {}, description)));
  }
  return list;
}
