// Draws the formulas, opens the folds a level of detail asks for, and lights up an index wherever it stands.
"use strict";
(() => {
  const root = document.documentElement;
  const options = {
    throwOnError: false,
    strict: (code) => (code === "htmlExtension" ? "ignore" : "error"),
    trust: (context) => context.command === "\\htmlData",
  };

  // ---- formulas: a slice at a time, so that a long page can be read and scrolled at once

  function draw(element) {
    if (element.dataset.drawn) return;
    const source = element.textContent;
    element.dataset.drawn = "yes";
    katex.render(source, element, options);
  }

  function drawAll(elements, done) {
    let at = 0;
    const slice = () => {
      const end = performance.now() + 24;
      while (at < elements.length && performance.now() < end) draw(elements[at++]);
      if (at < elements.length) setTimeout(slice, 0);
      else done();
    };
    slice();
  }

  const inFold = (element) => element.parentElement.closest("details:not([open])") !== null;

  // ---- folds

  // The level of detail at which a row is read now: the coarsest one that any closed fold before it stands for.
  function levelOf(row) {
    let fold = row.previousElementSibling;
    while (fold && fold.matches("details.more")) {
      if (!fold.open) return fold.dataset.under;
      fold = fold.lastElementChild;
    }
    return "baby";
  }

  function reasons(scope) {
    for (const row of scope.querySelectorAll(".line")) {
      const level = levelOf(row);
      for (const why of row.querySelectorAll(".why")) why.hidden = !why.classList.contains(level);
    }
  }

  const ORDER = ["brief", "full", "baby"];

  function setDetail(level) {
    root.dataset.detail = level;
    for (const fold of document.querySelectorAll("details.more"))
      fold.open = ORDER.indexOf(level) >= ORDER.findIndex((name) => fold.classList.contains(name));
    for (const input of document.querySelectorAll("input[name=detail]")) input.checked = input.value === level;
    reasons(document);
  }

  document.addEventListener("change", (event) => {
    if (event.target.name === "detail") setDetail(event.target.value);
  });
  document.addEventListener(
    "toggle",
    (event) => {
      if (!event.target.matches || !event.target.matches("details")) return;
      for (const element of event.target.querySelectorAll(".tex")) if (!inFold(element)) draw(element);
      const chain = event.target.closest(".chain");
      if (chain) reasons(chain);
    },
    true,
  );
  // A link to a place inside a fold opens it.
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => document.querySelectorAll(".tex").forEach(draw));

  // ---- an index lights up in its line and the next one that is shown

  let lit = [];

  function neighbours(row) {
    const rows = [...row.closest(".chain").querySelectorAll(".line")].filter((other) => !inFold(other));
    const at = rows.indexOf(row);
    return rows.slice(at, at + 2);
  }

  function light(mark) {
    for (const element of lit) element.classList.remove("lit");
    lit = [];
    if (!mark) return;
    const row = mark.closest(".line");
    const scopes = row ? neighbours(row) : [mark.closest(".equations, p, li") || mark];
    for (const scope of scopes)
      for (const other of scope.querySelectorAll("[data-i]"))
        if (other.dataset.i === mark.dataset.i) {
          other.classList.add("lit");
          lit.push(other);
        }
  }

  const marked = (event) => (event.target.closest ? event.target.closest("[data-i]") : null);
  document.addEventListener("pointerover", (event) => light(marked(event)));
  document.addEventListener("click", (event) => light(marked(event)));

  root.classList.add("drawing");
  setDetail(root.dataset.detail);
  const every = [...document.querySelectorAll(".tex")];
  drawAll(
    every.filter((element) => !inFold(element)),
    () => {
      reveal();
      root.dataset.ready = "yes";
    },
  );
})();
