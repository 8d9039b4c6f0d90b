// Ask again for what was still to be counted, until all is.
const again = async () => {
  const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!reply.ok) return;
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  const now = page.getElementById("counted");
  if (!now) return;
  document.getElementById("counted").replaceWith(now);
  if ("unfinished" in now.dataset) setTimeout(again, 1000);
};
setTimeout(again, 1000);
