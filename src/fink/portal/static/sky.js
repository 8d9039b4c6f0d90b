// Aladin Lite, from its makers, when somebody asked to see images of the sky.
const box = document.querySelector("[data-aladin]");
const state = document.querySelector("[data-sky-state]");
if (window.self !== window.top) document.documentElement.classList.add("framed");

function load(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${address} cannot be reached`));
    document.head.append(script);
  });
}

try {
  await load(`${box.dataset.source}/AladinLite/api/v3/latest/aladin.js`);
  await A.init;
  const aladin = A.aladin("#aladin", { survey: "P/PanSTARRS/DR1/color-z-zg-g", fov: 0.05, target: `${box.dataset.ra} ${box.dataset.dec}`, cooFrame: "ICRSd", showCooGridControl: true });
  const marks = A.catalog({ name: box.dataset.name, sourceSize: 18, color: "#ff5c8a", shape: "circle" });
  aladin.addCatalog(marks);
  marks.addSources([A.source(Number(box.dataset.ra), Number(box.dataset.dec), { name: box.dataset.name })]);
  state.textContent = "";
} catch (error) {
  box.hidden = true;
  state.textContent = `Images of the sky could not be loaded: ${error.message}. The finder chart of the object's page needs no network.`;
}
