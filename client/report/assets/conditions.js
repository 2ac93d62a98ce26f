/**
 * Conditions, and the words of the page.
 */

import { report } from "./data.js";
import { create, isChecked } from "./dom.js";
import { createNames } from "./result.js";
import { appendSection } from "./sections.js";
import { createTable } from "./table.js";

/** @typedef {import("./table.js").Column<Report.Condition>} Column */

const WORDS = {
  "ok, suspect, unreliable":
    "Whether a measurement can be trusted. An unreliable one is shown, and never called the best.",
  "95 % interval":
    "Where the true median lies, by the samples of one job. Several jobs (--repeat) also show how jobs differ.",
  p95: "95 of 100 inferences took at most this long. It is left out where there were too few samples to know.",
  "scatter (CV)":
    "Standard deviation over the mean: how much the latencies differ among themselves. Above 10 % is suspect.",
  drift:
    "How much slower or faster the last third of the run was than the first; mostly heat. Above 5 % is suspect, above 10 % unreliable.",
  throttled: "The hardware held itself back: too hot, too little voltage, or the control group's quota was used up.",
};

/** Show under which circumstances was measured, and what the words of the page mean. */
export function showConditions() {
  const place = appendSection("conditions", "Conditions");
  if (report.conditions.length) appendTable(place);
  const chosen = report.configurations.filter((each) => each.selection.length);
  if (chosen.length)
    place.append(create("details", {}, create("summary", {}, "Why devices were chosen"), chosen.map(createReasons)));
  const blind = report.configurations.filter((each) => Object.keys(each.not_checkable).length);
  if (blind.length)
    place.append(create("details", {}, create("summary", {}, "What could not be checked"), blind.map(createUnchecked)));
  const words = Object.entries(WORDS).flatMap(([word, meaning]) => [create("dt", {}, word), create("dd", {}, meaning)]);
  place.append(
    create("details", {}, create("summary", {}, "The words of this page"), create("dl", { class: "words" }, words)),
  );
}

/** @param {Element} place */
function appendTable(place) {
  const several = report.configurations.length > 1;
  const shown = create("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Conditions" });
  /** @param {boolean} onlyDiffering */
  const fill = (onlyDiffering) => {
    const rows = report.conditions.filter((each) => each.differs || !onlyDiffering);
    /** @type {Column[]} */
    const values = several
      ? report.configurations.map((each, n) => describeColumn(each, n))
      : [{ label: "Value", value: (row) => row.values[0] }];
    /** @type {Column[]} */
    const columns = [{ label: "Condition", rowHead: true, value: (row) => row.name }, ...values];
    if (several)
      columns.splice(1, 0, {
        label: "",
        show: (row) => (row.differs ? create("span", { class: "differs" }, "≠ differs") : ""),
      });
    shown.replaceChildren(createTable({ columns, rows, className: "dense" }));
  };
  const box = create("input", {
    type: "checkbox",
    onchange: (event) => fill(isChecked(event)),
  });
  if (several) place.append(create("p", {}, create("label", { class: "chip" }, box, "Only what differs")));
  place.append(shown);
  fill(false);
}

/**
 * @param {Report.Configuration} each
 * @param {number} n
 * @returns {Column}
 */
function describeColumn(each, n) {
  return { label: createNames(each.id, each.title, each.subtitle), value: (row) => row.values[n] };
}

/** @param {Report.Configuration} each */
function createReasons(each) {
  return create(
    "div",
    {},
    create("h3", {}, each.name),
    create(
      "ul",
      { class: "statements small" },
      each.selection.map((line) => create("li", {}, line)),
    ),
  );
}

/** @param {Report.Configuration} each */
function createUnchecked(each) {
  const lines = Object.entries(each.not_checkable).map(([code, why]) =>
    create("li", {}, create("code", {}, code), `: ${why}`),
  );
  return create("div", {}, create("h3", {}, each.name), create("ul", { class: "statements small" }, lines));
}
