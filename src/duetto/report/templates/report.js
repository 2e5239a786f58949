"use strict";
(() => {
  // Tables that are wider than their box say so.
  const boxes = [...document.querySelectorAll(".scroll")];
  const measure = () => boxes.forEach((box) => box.classList.toggle("wider", box.scrollWidth > box.clientWidth + 1));
  addEventListener("resize", measure);
  measure();

  const table = document.querySelector("table.utterances"), tools = document.getElementById("tools");
  if (!table) return;
  const bodies = [...table.tBodies], heads = [...table.tHead.rows[0].cells];
  const rows = bodies.flatMap((body, place) => [...body.rows].slice(1).map((row) => ({
    row, place, body, cells: [...row.cells].map((cell) => cell.textContent.trim()),
  })));
  const names = heads.map((head) => head.textContent.trim());
  const column = (name) => names.indexOf(name);
  const element = (name, text, more) => Object.assign(document.createElement(name), {textContent: text}, more);

  const choice = (name) => {
    const at = column(name), label = element("label", `${name} `), select = document.createElement("select");
    const values = [...new Set(rows.map((r) => r.cells[at]))].sort((a, b) => a.localeCompare(b, "en", {numeric: true}));
    select.append(element("option", "all", {value: "\u0000"}), ...values.map((v) => element("option", v || "unknown", {value: v})));
    select.addEventListener("change", show);
    label.append(select);
    tools.append(label);
    return {at, select};
  };
  const choices = ["Target", "Answer", "Speaker"].filter((n) => column(n) >= 0).map(choice);
  const wrong = Object.assign(document.createElement("input"), {type: "checkbox"});
  const search = Object.assign(document.createElement("input"), {type: "search", size: 18});
  const of = (text, input) => { const label = element("label", text); label.append(input); tools.append(label); };
  of("only wrong ", wrong);
  of("search ", search);
  const reset = element("button", "Show all, by cell", {type: "button"});
  const count = element("output", "");
  tools.append(reset, count);
  tools.hidden = false;

  let sorted = -1, down = false;
  function show() {
    const text = search.value.trim().toLocaleLowerCase(), seen = new Set();
    let n = 0;
    for (const {row, body, cells} of rows) {
      const right = cells[column("Target")] === cells[column("Answer")];
      const fits = choices.every(({at, select}) => select.value === "\u0000" || select.value === cells[at])
        && !(wrong.checked && right) && (!text || cells.join(" ").toLocaleLowerCase().includes(text));
      row.hidden = !fits;
      if (fits) { n += 1; seen.add(body); }
    }
    bodies.forEach((body) => { body.rows[0].hidden = sorted >= 0 || !seen.has(body); });
    count.textContent = `${n} of ${rows.length} shown`;
    measure();
  }
  const compare = (a, b) => {
    const x = a.cells[sorted], y = b.cells[sorted], p = parseFloat(x), q = parseFloat(y);
    const numeric = /^[\d.]+(\/\d+)?$/.test(x) && /^[\d.]+(\/\d+)?$/.test(y);
    return (numeric ? p - q : x.localeCompare(y, "en", {numeric: true})) * (down ? -1 : 1);
  };
  function order() {
    heads.forEach((head, i) => {
      if (i === sorted) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    if (sorted < 0) rows.forEach(({row, body}) => body.append(row));
    else bodies[0].append(...[...rows].sort((a, b) => compare(a, b) || a.place - b.place).map((r) => r.row));
    show();
  }
  heads.forEach((head, i) => {
    if (names[i] === "Sound") return;
    const button = element("button", names[i], {type: "button", title: `sort by ${names[i]}`});
    button.addEventListener("click", () => {
      down = sorted === i ? !down : names[i] === "%";
      sorted = i;
      order();
    });
    head.replaceChildren(button);
  });
  const clear = () => {
    choices.forEach(({select}) => { select.value = "\u0000"; });
    wrong.checked = false; search.value = "";
    sorted = -1;
    order();
  };
  // A link from the confusion matrix shows its cell alone.
  const follow = () => {
    const body = bodies.find((each) => `#${each.id}` === location.hash);
    if (!body) return;
    clear();
    const first = rows.find((r) => r.body === body).cells;
    for (const {at, select} of choices.slice(0, 2)) select.value = first[at];
    show();
    tools.scrollIntoView();
  };
  wrong.addEventListener("change", show);
  search.addEventListener("input", show);
  reset.addEventListener("click", () => { history.replaceState(null, "", location.pathname + location.search); clear(); });
  addEventListener("hashchange", follow);
  document.querySelectorAll(".confusion a").forEach((link) => link.addEventListener("click", () => setTimeout(follow)));
  show();
  follow();
})();
