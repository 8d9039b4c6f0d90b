// Narrow a list to the rows that have all the words typed, while they are typed.
for (const field of document.querySelectorAll("[data-narrow]")) {
  const rows = [...document.querySelectorAll(field.dataset.narrow)].filter((row) => !row.matches(".none"));
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const said = document.querySelector("[data-narrowed]");
  const narrow = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !words.every((word) => texts[place].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    if (said) said.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
  };
  field.closest("[data-narrow-field]")?.removeAttribute("hidden");
  field.addEventListener("input", narrow);
  if (field.value && !field.form) narrow();
}
