// Finds layers as one types, from the list of all of them that is loaded with the page: no server is asked.
"use strict";
(() => {
  const fold = (text) => text.toLowerCase().replaceAll("_", " ");
  const rows = LAYERS.map(([name, about, rest]) => ({ name, about, in: fold(name), all: fold(`${name} ${about} ${rest}`) }));

  for (const box of document.querySelectorAll(".search")) {
    const input = box.querySelector("input");
    const list = box.querySelector("ol");
    const root = box.dataset.root;

    function found() {
      const words = fold(input.value).split(/\s+/).filter(Boolean);
      if (!words.length) return [];
      const hits = rows.filter((row) => words.every((word) => row.all.includes(word)));
      const rank = (row) => words.filter((word) => !row.in.includes(word)).length;
      return hits.sort((a, b) => rank(a) - rank(b)).slice(0, 12);
    }

    input.addEventListener("input", () => {
      list.replaceChildren(
        ...found().map((row) => {
          const item = document.createElement("li");
          const link = document.createElement("a");
          link.href = `${root}layers/${row.name}.html`;
          link.textContent = row.name;
          const about = document.createElement("small");
          about.textContent = row.about;
          item.append(link, about);
          return item;
        }),
      );
      list.hidden = !input.value.trim();
      if (!list.hidden && !list.childElementCount) list.textContent = "–";
    });
    input.addEventListener("keydown", (event) => {
      const first = list.querySelector("a");
      if (event.key === "Enter" && first) location.href = first.href;
      if (event.key === "Escape") {
        input.value = "";
        list.hidden = true;
      }
    });
  }
  addEventListener("keydown", (event) => {
    const first = document.querySelector(".search input");
    if (event.key === "/" && first && document.activeElement.tagName !== "INPUT") {
      event.preventDefault();
      first.focus();
    }
  });
})();
