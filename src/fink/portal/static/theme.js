// Colours as the reader chose them, before the page is painted; a plain script, since modules wait for the page.
(() => {
  const root = document.documentElement;
  const kept = () => {
    try {
      return localStorage.getItem("theme") || "system";
    } catch {
      return "system";
    }
  };
  const show = (theme) => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.dataset.theme = theme;
  };
  show(kept());
  document.addEventListener("DOMContentLoaded", () => {
    const choice = document.getElementById("theme");
    if (choice) {
      choice.value = kept();
      choice.addEventListener("change", () => {
        try {
          localStorage.setItem("theme", choice.value);
        } catch {
          // a browser that keeps nothing shows the colours until the next page
        }
        show(choice.value);
        document.dispatchEvent(new CustomEvent("themechange"));
      });
    }
    const twin = document.querySelector("[data-twin]");
    if (twin) {
      const address = new URL(location.href);
      address.searchParams.set("format", "json");
      twin.href = address.pathname + address.search;
    }
  });
})();
