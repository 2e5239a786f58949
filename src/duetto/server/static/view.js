// What is shown: bars, lanes with waveform and segments, the table. Knows nothing of where results come from.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8;
const PEAKS = 50; // a second

export const percent = (p) => `${Math.round(100 * p)} %`;
export const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
export const nameOf = (segment) => segment.label ?? "no speech";
export const marksOf = (segment) => [
  ...(segment.uncertain ? ["uncertain"] : []), ...(segment.unfamiliar ? ["unfamiliar voice"] : []),
];

function element(name, content = "", attributes = {}) {
  const made = document.createElement(name);
  made.append(content);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class View {
  constructor(play) {
    this.play = play;
    this.labels = [];
    this.clear(1);
    addEventListener("resize", () => this.drawSoon());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drawSoon());
  }

  // Begin anew with lanes for so many channels.
  clear(channels) {
    this.segments = [];
    this.partial = new Map();
    this.peaks = Array.from({length: channels}, () => []);
    this.rests = this.peaks.map(() => ({most: 0, count: 0}));
    this.seconds = 0;
    $("rows").replaceChildren();
    this.canvases = this.peaks.map((_, i) => {
      const canvas = element("canvas", "", {role: "img"});
      const lane = element("div", "", {class: "lane"});
      if (channels > 1) lane.append(element("h3", `Speaker ${i + 1}`));
      lane.append(canvas);
      return canvas;
    });
    $("lanes").replaceChildren(...this.canvases.map((canvas) => canvas.parentElement));
    this.now(null);
    this.drawSoon();
  }

  setLabels(labels) {
    this.labels = labels;
    $("legend").replaceChildren(...labels.map((label) => {
      const item = element("li");
      const swatch = element("span", "", {class: "swatch", "aria-hidden": "true"});
      swatch.style.background = `var(--c${labels.indexOf(label) % COLOURS})`;
      item.append(swatch, label);
      return item;
    }));
    this.now(null);
  }

  // The next samples of a channel, in ±1. A peak spans frames of the microphone, so that none is longer than others.
  addSound(channel, samples, rate) {
    const peaks = this.peaks[channel], rest = this.rests[channel];
    for (let i = 0; i < samples.length; i++) {
      rest.most = Math.max(rest.most, Math.abs(samples[i]));
      rest.count += 1;
      if (rest.count >= ((peaks.length + 1) * rate) / PEAKS) {
        peaks.push(rest.most);
        rest.most = 0;
      }
    }
    this.seconds = Math.max(this.seconds, peaks.length / PEAKS);
    this.drawSoon();
  }

  addSegment(segment) {
    this.segments.push(segment);
    this.partial.delete(segment.channel);
    this.row(segment);
    this.now(segment);
    this.drawSoon();
  }

  setPartial(segment) {
    this.partial.set(segment.channel, segment);
    this.now(segment);
    this.drawSoon();
  }

  // The latest answer; null for none.
  now(segment) {
    $("label").textContent = segment ? nameOf(segment) : "nothing yet";
    $("marks").replaceChildren(...(segment ? marksOf(segment) : []).map((m) => element("span", m, {class: "mark"})));
    $("bars").replaceChildren(...this.labels.map((label, i) => {
      const p = segment?.probabilities[label] ?? 0;
      const item = element("li");
      const track = document.createElementNS(SVG, "svg");
      track.setAttribute("class", "track");
      track.setAttribute("aria-hidden", "true");
      for (const [width, name] of [["100%", "ground"], [`${100 * p}%`, "bar"]]) {
        const rect = document.createElementNS(SVG, "rect");
        rect.setAttribute("width", width);
        rect.setAttribute("height", "100%");
        rect.setAttribute("rx", "3");
        rect.setAttribute("class", name);
        if (name === "bar") rect.style.fill = `var(--c${i % COLOURS})`;
        track.append(rect);
      }
      item.append(element("span", label), track, element("span", percent(p), {class: "number"}));
      return item;
    }));
  }

  row(segment) {
    const row = element("tr");
    const time = element("td", `${clock(segment.start)} – ${clock(segment.end)} `, {class: "time"});
    if (this.play.possible()) {
      const button = element("button", "Play", {type: "button", "aria-label": `Play from ${clock(segment.start)}`});
      button.addEventListener("click", () => this.play.from(segment.start, segment.end));
      time.append(button);
    }
    const probability = segment.label === null ? "" : percent(segment.probabilities[segment.label]);
    row.append(
      time,
      element("td", segment.channel === null ? "all" : `${segment.channel + 1}`),
      element("td", nameOf(segment)),
      element("td", probability),
      element("td", segment.words.map((word) => word.word).join(" ")),
      element("td", [...marksOf(segment), ...segment.warnings].join("; ")),
    );
    $("rows").append(row);
  }

  drawSoon() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.canvases.forEach((_, i) => this.draw(i)); });
  }

  draw(channel) {
    const canvas = this.canvases[channel], scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const seconds = Math.max(this.seconds, 5), x = (t) => (t / seconds) * width;
    const own = (s) => s.channel === channel || s.channel === null;
    const shown = [...this.segments.filter(own), ...[...this.partial.values()].filter(own)];
    for (const segment of shown) this.drawSegment(pen, segment, x, height);
    this.drawWave(pen, this.peaks[channel], width, seconds, height);
    pen.fillStyle = colour("--text");
    pen.font = "13px system-ui, sans-serif";
    for (const segment of shown) this.drawText(pen, segment, x, height);
    const list = this.segments.filter(own).map((s) => `${clock(s.start)} ${nameOf(s)}`).join(", ");
    canvas.setAttribute("aria-label", `Waveform with utterances: ${list || "none yet"}. The table lists them.`);
  }

  drawSegment(pen, segment, x, height) {
    const index = this.labels.indexOf(segment.label);
    const tone = index < 0 ? colour("--line") : colour(`--c${index % COLOURS}`);
    const left = x(segment.start), wide = Math.max(2, x(segment.end) - left);
    pen.fillStyle = tone;
    pen.globalAlpha = 0.26;
    pen.fillRect(left, 0, wide, height);
    pen.globalAlpha = 1;
    pen.fillRect(left, 0, wide, 4);
    if (segment.uncertain || segment.unfamiliar) { // dashed, since colour alone does not show it
      pen.strokeStyle = tone;
      pen.setLineDash([5, 4]);
      pen.strokeRect(left + 0.5, 0.5, wide - 1, height - 1);
      pen.setLineDash([]);
    }
  }

  drawWave(pen, peaks, width, seconds, height) {
    pen.fillStyle = colour("--wave");
    const each = Math.max(1, Math.ceil((PEAKS * seconds) / width));
    const loudest = peaks.reduce((a, b) => Math.max(a, b), 0.05);
    for (let i = 0; i < peaks.length; i += each) {
      const most = Math.max(...peaks.slice(i, i + each));
      const tall = Math.max(1, (most / loudest) * height * 0.5);
      const left = (i / PEAKS / seconds) * width;
      pen.fillRect(left, height * 0.52 - tall / 2, Math.max(1, (each / PEAKS / seconds) * width - 0.3), tall);
    }
  }

  drawText(pen, segment, x, height) {
    const left = x(segment.start), wide = x(segment.end) - left;
    const fitted = (text, most) => (pen.measureText(text).width <= most ? text : "");
    const marks = marksOf(segment), name = nameOf(segment);
    pen.fillText(fitted([name, ...marks].join(", "), wide - 4) || fitted(name, wide - 4), left + 3, 18);
    let free = left;
    for (const word of segment.words) {
      if (word.start === null || !word.word) continue;
      const at = Math.max(x(word.start), free), size = pen.measureText(word.word).width;
      if (at + size > left + wide + 12) break;
      pen.fillText(word.word, at, height - 6);
      free = at + size + 5;
    }
  }
}
