// What the report was made of: see client/report/model.py for every field.
export const report = JSON.parse(document.getElementById("report-data").textContent);

const owners = new Map([...report.configurations, ...report.programs].map((each) => [each.id, each]));

// The configuration or program that a recording belongs to.
export function ownerOf(recording) {
  return owners.get(recording.owner);
}

// A recording's place in the sequence of colours and dash patterns: repeats look like their configuration.
export function lookOf(recording) {
  return recording.owner;
}

export function labelOf(recording) {
  const again = recording.repeat > 0 ? `, repeat ${recording.repeat + 1}` : "";
  return `${recording.title}, ${recording.subtitle}${again}`;
}
