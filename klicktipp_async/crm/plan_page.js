
"use strict";
(() => {
  const root = document.documentElement;
  const german = document.getElementById("german");
  const box = document.getElementById("q");
  const rows = [...document.querySelectorAll("#rows tr")];
  const texts = rows.map((row) => `${row.dataset.code} ${row.textContent}`.toLowerCase());
  const counters = document.querySelectorAll("#finder b");

  function filter() {
    // What a reason in the list above leads to; one code may be the end of another.
    const code = rows.some((row) => row.dataset.code === box.value) ? box.value : null;
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, place) => {
      const found = code ? row.dataset.code === code : words.every((word) => texts[place].includes(word));
      row.hidden = !found;
      count += found;
    });
    for (const counter of counters) {
      counter.textContent = count.toLocaleString(counter.parentElement.lang);
    }
  }

  function follow() {
    const wanted = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B")).get("q");
    if (wanted === null) return;
    box.value = wanted;
    filter();
    document.getElementById("skipped").scrollIntoView();
  }

  function name() {
    root.lang = german.checked ? "de" : "en";
  }

  if (root.dataset.language === "browser" && navigator.language.toLowerCase().startsWith("de")) {
    german.checked = true;
  }
  name();
  for (const choice of document.getElementsByName("language")) choice.addEventListener("change", name);
  document.getElementById("finder").hidden = false;
  box.addEventListener("input", filter);
  window.addEventListener("hashchange", follow);
  filter();
  follow();
})();
