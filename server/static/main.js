/**
 * The live page of one agent: let the browser in, then put the parts together.
 */

import { disableWithout, learnAccess, may, whyNot } from "./access.js";
import { readJson } from "./api.js";
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

/**
 * @param {Agent.Access} access
 * @param {Agent.AgentInfo | null} info where it may be read
 */
function showDevice(access, info) {
  const name = info?.device.name ?? location.host;
  const kind = info?.device.type ?? info?.device.cpu_model ?? info?.device.machine;
  const facts = [kind, info && plural(info.device.cpu_count, "CPU"), `agent ${access.agent_version}`];
  say(byId("device"), name);
  say(byId("device-detail"), facts.filter(Boolean).join(", "));
  document.title = `${name} - edgerun`;
  byId("sign-out").hidden = access.token === null;
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

/** Show the part of the page that takes pictures. */
function showClassify() {
  const classify = new Classify();
  const sheet = preparePaper(() => classify.sendDrawing());
  classify.drawing = sheet.image;
  classify.onModel = () => sheet.takePen(classify.task === "detection");
  const camera = new Camera((image) => classify.send(image));
  classify.onSource = (source) => {
    sheet.clear();
    camera.close();
    if (source === "camera") camera.open();
  };
  disableWithout(byId("try").querySelectorAll("button, input, select"), "infer");
  if (!may("infer")) say(byId("try-drop-text"), `${whyNot("infer")}.`);
  return classify;
}

/**
 * Show the running job, the list of jobs and the sensors.
 * @param {Classify} classify
 */
function showDeviceAtWork(classify) {
  const running = new Running(() => jobs.poll());
  const jobs = new Jobs((job) => {
    if (job?.id !== running.job?.id) running.show(job);
    classify.jobRuns(job !== null);
  });
  new Telemetry((reasons) => showAlarm(reasons, running.job));
}

/** Say that there is nothing to be shown but the part that takes pictures. */
function hideDeviceAtWork() {
  for (const id of ["telemetry", "jobs", "pause"]) byId(id).hidden = true;
  say(byId("running-heading"), "Sensors and jobs are not shown");
  say(byId("running-hint"), `${whyNot("read")}.`);
  byId("status").dataset.state = "closed";
  say(byId("status"), "no sensors");
}

const access = await enter();
learnAccess(access);
/** @type {Agent.AgentInfo | null} */
const info = may("read") ? await readJson("/v1/info") : null;
byId("gate").hidden = true;
byId("live").hidden = false;
watchSession();
showDevice(access, info);
watchLease();
const classify = showClassify();
if (may("read")) showDeviceAtWork(classify);
else hideDeviceAtWork();
