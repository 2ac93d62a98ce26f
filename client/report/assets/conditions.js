import { report } from "./data.js";
import { h, section } from "./dom.js";
import { who } from "./result.js";
import { table } from "./table.js";

const WORDS = {
  "ok, suspect, unreliable": "Whether a measurement can be trusted. An unreliable one is shown, and never called the best.",
  "95 % interval": "Where the true median lies, by the samples of one job. Several jobs (--repeat) also show how jobs differ.",
  "p95": "95 of 100 inferences took at most this long. It is left out where there were too few samples to know.",
  "scatter (CV)": "Standard deviation over the mean: how much the latencies differ among themselves. Above 10 % is suspect.",
  "drift": "How much slower or faster the last third of the run was than the first; mostly heat. Above 5 % is suspect, above 10 % unreliable.",
  "throttled": "The hardware held itself back: too hot, too little voltage, or the control group's quota was used up.",
};

export function showConditions() {
  const place = section("conditions", "Conditions");
  if (report.conditions.length) conditionTable(place);
  const chosen = report.configurations.filter((each) => each.selection.length);
  if (chosen.length) place.append(h("details", {}, h("summary", {}, "Why devices were chosen"), chosen.map(whyChosen)));
  const blind = report.configurations.filter((each) => Object.keys(each.not_checkable).length);
  if (blind.length) place.append(h("details", {}, h("summary", {}, "What could not be checked"), blind.map(notChecked)));
  const words = Object.entries(WORDS).flatMap(([word, meaning]) => [h("dt", {}, word), h("dd", {}, meaning)]);
  place.append(h("details", {}, h("summary", {}, "The words of this page"), h("dl", { class: "words" }, words)));
}

function conditionTable(place) {
  const several = report.configurations.length > 1;
  const shown = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Conditions" });
  const fill = (onlyDiffering) => {
    const rows = report.conditions.filter((each) => each.differs || !onlyDiffering);
    const values = several ? report.configurations.map((each, n) => valueColumn(each, n)) : [{ label: "Value", value: (row) => row.values[0] }];
    const columns = [{ label: "Condition", rowHead: true, value: (row) => row.name }, ...values];
    if (several) columns.splice(1, 0, { label: "", show: (_, row) => (row.differs ? h("span", { class: "differs" }, "≠ differs") : "") });
    shown.replaceChildren(table({ columns, rows, className: "dense" }));
  };
  const box = h("input", { type: "checkbox", onchange: (event) => fill(event.target.checked) });
  if (several) place.append(h("p", {}, h("label", { class: "chip" }, box, "Only what differs")));
  place.append(shown);
  fill(false);
}

function valueColumn(each, n) {
  return { label: who(each.id, each.title, each.subtitle), value: (row) => row.values[n] };
}

function whyChosen(each) {
  return h("div", {}, h("h3", {}, each.name), h("ul", { class: "statements small" }, each.selection.map((line) => h("li", {}, line))));
}

function notChecked(each) {
  const lines = Object.entries(each.not_checkable).map(([code, why]) => h("li", {}, h("code", {}, code), `: ${why}`));
  return h("div", {}, h("h3", {}, each.name), h("ul", { class: "statements small" }, lines));
}
