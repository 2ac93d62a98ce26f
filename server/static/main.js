/**
 * The live page of one agent: let the browser in, then put the parts together.
 */

import { Camera } from "./camera.js";
import { Classify } from "./classify.js";
import { byId, find } from "./dom.js";
import { preparePaper } from "./draw.js";
import { say } from "./elements.js";
import { plural } from "./format.js";
import { Jobs } from "./jobs.js";
import { watchLease } from "./lease.js";
import { Running } from "./running.js";
import { enter, signOut, watchSession } from "./session.js";
import { Telemetry } from "./telemetry.js";
import { jobTitle } from "./words.js";

/** @param {Agent.AgentInfo} info */
function showDevice({ device, agent, security }) {
  say(byId("device"), device.name);
  const kind = device.type ?? device.cpu_model ?? device.machine;
  say(byId("device-detail"), `${kind}, ${plural(device.cpu_count, "CPU")}, agent ${agent.version}`);
  document.title = `${device.name} - edgerun`;
  byId("sign-out").hidden = !security.token_required;
  byId("sign-out").addEventListener("click", signOut);
}

/**
 * @param {readonly string[]} reasons
 * @param {Agent.JobSummary | null} job that runs
 */
function showAlarm(reasons, job) {
  const alarm = byId("alarm");
  alarm.hidden = reasons.length === 0;
  const consequence = job && job.kind !== "command" ? ` ${jobTitle(job)} will be marked unreliable.` : "";
  say(find(alarm, "strong"), reasons.length ? "Throttled now." : "");
  say(find(alarm, "span"), reasons.length ? ` ${reasons.join(". ")}.${consequence}` : "");
}

const info = await enter();
byId("gate").hidden = true;
byId("live").hidden = false;
watchSession();
showDevice(info);
watchLease();

const classify = new Classify();
const sheet = preparePaper((image) => classify.send(image));
const camera = new Camera((image) => classify.send(image));
classify.onSource = (source) => {
  sheet.clear();
  camera.close();
  if (source === "camera") camera.open();
};

const running = new Running(() => jobs.poll());
const jobs = new Jobs((job) => {
  if (job?.id !== running.job?.id) running.show(job);
  classify.jobRuns(job !== null);
});
new Telemetry((reasons) => showAlarm(reasons, running.job));
