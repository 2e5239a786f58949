// The page: sound from the microphone or a file to the server, answers to the view.

import {View, clock, marksOf, nameOf, percent} from "/static/view.js";

const $ = (id) => document.getElementById(id);
const player = $("player");
const play = {
  possible: () => !player.hidden,
  from(start, end) { player.currentTime = start; this.end = end; player.play(); },
};
player.addEventListener("timeupdate", () => { if (play.end && player.currentTime >= play.end) { player.pause(); play.end = 0; } });

const view = new View(play);
const MOST_DRAWN = 30e6; // bytes of a file whose waveform is drawn: the browser decodes it whole
let models = [], recording = null, starting = false, result = null;

const status = (text) => { $("status").textContent = text; };
function problem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}
const headers = () => ($("token").value ? {Authorization: `Bearer ${$("token").value}`} : {});

async function asked(address, options = {}) {
  const answer = await fetch(address, {...options, headers: {...headers(), ...options.headers}});
  if (!answer.ok) {
    const error = (await answer.json().catch(() => null))?.error;
    if (answer.status === 401) $("token-field").hidden = false;
    throw new Error(error?.message ?? `the server answered ${answer.status}`);
  }
  return answer;
}

async function loadModels() {
  try {
    models = (await (await asked("/v1/models")).json()).data;
  } catch (error) {
    problem(error.message);
    return;
  }
  problem("");
  $("model").replaceChildren(...models.map((model) => new Option(model.id, model.id)));
  chooseModel();
  const formats = (await (await asked("/v1/formats")).json()).data;
  $("downloads").replaceChildren(...formats.map((format) => {
    const button = document.createElement("button");
    button.type = "button";
    button.disabled = true;
    button.textContent = format.id;
    button.setAttribute("aria-label", `Download ${format.id}`);
    button.addEventListener("click", () => download(format));
    return button;
  }));
  $("record").disabled = false;
}

function chooseModel() {
  const model = models.find((each) => each.id === $("model").value);
  view.setLabels(model.labels);
  $("terms").textContent = model.terms;
}

// A time line as the server answers one, so that it converts those of the microphone, too.
function begin(file, channels) {
  problem("");
  view.clear(channels);
  view.setLabels(models.find((each) => each.id === $("model").value).labels);
  result = {file, duration: 0, channels, model: $("model").value, labels: view.labels, segments: [], windows: [], warnings: []};
  enableDownloads(false);
}

function add(segment) {
  result.segments.push(segment);
  view.addSegment(segment);
}

function enableDownloads(enabled) {
  for (const button of $("downloads").children) button.disabled = !enabled;
}

function ended(text) {
  const count = result.segments.length;
  enableDownloads(true);
  status(`${text} ${count === 0 ? "No speech was found." : `${count} utterance${count > 1 ? "s" : ""}.`}`);
}

async function download(format) {
  try {
    const options = {method: "POST", body: JSON.stringify(result), headers: {"Content-Type": "application/json"}};
    const answer = await asked(`/v1/timeline/convert?format=${format.id}`, options);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = `${result.file.replace(/\.[^.]*$/, "")}.${format.suffix}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) { problem(error.message); }
}

// Files

async function analyse(file) {
  if (!file || recording || starting) return;
  begin(file.name, 1);
  player.src = URL.createObjectURL(file);
  player.hidden = false;
  status(`${file.name} is being analysed …`);
  const form = new FormData();
  form.append("file", file);
  form.append("model", $("model").value);
  try {
    const [answer, sound] = await Promise.all([
      asked("/v1/timeline", {method: "POST", body: form}).then((each) => each.json()), decoded(file),
    ]);
    view.clear(answer.channels);
    view.seconds = answer.duration;
    for (let i = 0; sound && i < Math.min(sound.numberOfChannels, answer.channels); i++) {
      view.addSound(i, sound.getChannelData(i), sound.sampleRate);
    }
    result = {...answer, segments: []};
    answer.segments.forEach(add);
    if (answer.warnings.length) problem(answer.warnings.join("; "));
    ended(`${file.name}, ${clock(answer.duration)}, is analysed.`);
  } catch (error) {
    problem(error.message);
    status("The recording was not analysed.");
  }
}

async function decoded(file) {
  if (file.size > MOST_DRAWN) return null;
  try {
    return await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await file.arrayBuffer());
  } catch { return null; } // the server may read what the browser does not
}

// Microphone

async function context() {
  try {
    return new AudioContext({sampleRate: 16000});
  } catch { return new AudioContext(); } // the server converts any rate
}

async function start() {
  begin("microphone", 1);
  player.hidden = true;
  if (!navigator.mediaDevices) throw new Error("the browser gives the microphone to pages from this computer or over HTTPS only");
  const media = await navigator.mediaDevices.getUserMedia({
    audio: {channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false},
  });
  const audio = await context();
  await audio.audioWorklet.addModule("/static/recorder.js");
  const node = new AudioWorkletNode(audio, "recorder", {numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit"});
  const socket = opened();
  recording = {media, audio, node, socket};
  socket.onopen = () => {
    const session = {rate: audio.sampleRate, channels: 1, interval: 1, model: $("model").value};
    socket.send(JSON.stringify({type: "session.update", session}));
    audio.createMediaStreamSource(media).connect(node);
  };
  node.port.onmessage = ({data}) => {
    if (data === null) { // the last sound has been sent
      if (socket.readyState === WebSocket.OPEN) socket.send('{"type": "session.close"}');
      return;
    }
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(data);
    view.addSound(0, Float32Array.from(new Int16Array(data), (v) => v / 32768), audio.sampleRate);
  };
  $("record").setAttribute("aria-pressed", "true");
  $("record").textContent = "Stop";
  status("Listening …");
}

function opened() {
  const token = $("token").value, protocols = ["duetto.v1"];
  const encoded = btoa(String.fromCharCode(...new TextEncoder().encode(token)));
  if (token) protocols.push("duetto.token." + encoded.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, ""));
  const address = new URL("/v1/stream", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(address, protocols);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({data}) => received(JSON.parse(data));
  socket.onclose = () => { stopped("The connection is closed."); };
  return socket;
}

function received(message) {
  if (message.type === "error") problem(message.error.message);
  if (message.type === "utterance.start") status("Somebody speaks …");
  if (message.type === "session.closed") {
    result.duration = message.audio_ms / 1000;
    stopped("Stopped.");
  }
  if (message.type !== "measurement") return;
  const {type, trigger, utterance, audio_start_ms, audio_end_ms, ...answer} = message;
  const segment = {kind: "utterance", start: audio_start_ms / 1000, end: audio_end_ms / 1000, ...answer};
  if (trigger === "interval") { view.setPartial(segment); return; }
  add(segment);
  const said = segment.label === null ? "" : `, ${percent(segment.probabilities[segment.label])}`;
  status(`Utterance ${result.segments.length}: ${[nameOf(segment) + said, ...marksOf(segment)].join(", ")}`);
}

function stop() {
  recording.media.getTracks().forEach((track) => track.stop());
  recording.node.port.postMessage("end");
}

function stopped(text) {
  if (!recording) return;
  recording.media.getTracks().forEach((track) => track.stop());
  recording.audio.close();
  recording.socket.close();
  recording = null;
  $("record").setAttribute("aria-pressed", "false");
  $("record").textContent = "Speak into the microphone";
  ended(text);
}

$("record").addEventListener("click", async () => {
  if (recording) { stop(); return; }
  if (starting) return;
  starting = true; // the button stays enabled, else it would lose the focus of the keyboard
  try { await start(); } catch (error) { problem(error.message); status("The microphone is not used."); }
  starting = false;
});
$("file").addEventListener("change", (event) => analyse(event.target.files[0]));
$("model").addEventListener("change", chooseModel);
$("token").addEventListener("change", loadModels);
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("notice").textContent.replace(/\s+/g, " ").trim());
    $("copy").textContent = "Copied";
  } catch { getSelection().selectAllChildren($("notice")); }
});
for (const name of ["dragover", "dragleave", "drop"]) {
  $("drop").addEventListener(name, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") analyse(event.dataTransfer.files[0]);
  });
}
loadModels();
