/* A call's recording in time with its picture and its words. The picture is the server's; without this script the
   player plays, and every time of the transcript opens the recording there. */
"use strict";
(() => {
  const audio = document.getElementById("recording");
  const player = document.getElementById("player");
  const head = document.getElementById("playhead");
  const link = document.getElementById("share-link");
  if (link) { link.focus(); link.select(); }

  // ---- a message of the ladder: its list is folded up -----------------------------------------------------------
  const open = () => {
    const item = /^#sip-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!item) return;
    item.closest("details").open = true;
    item.scrollIntoView({ block: "center" });
    item.focus({ preventScroll: true });
  };
  addEventListener("hashchange", open);
  open();

  if (!audio || !player || !head) return;
  const svg = document.getElementById("picture");
  const scale = Number(player.dataset.scale);
  const start = Number(player.dataset.start);
  const begins = Number(player.dataset.recording);  // seconds of the call at which the recording begins
  const lines = [...document.querySelectorAll("#transcript li")].map((item) => (
    { item, from: Number(item.dataset.from) - begins, to: Number(item.dataset.to) - begins }));
  const words = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const length = () => (Number.isFinite(audio.duration) ? audio.duration : Number(player.getAttribute("aria-valuemax")));
  let current = null;

  const follow = (x) => {
    const left = player.scrollLeft;
    const room = player.clientWidth;
    if (x < left || x > left + room * 0.9) player.scrollLeft = Math.max(0, x - room * 0.2);
  };
  const show = (moved) => {
    const at = audio.currentTime;
    const x = (begins + at - start) * scale;
    head.setAttribute("x1", x.toFixed(1));
    head.setAttribute("x2", x.toFixed(1));
    player.setAttribute("aria-valuenow", at.toFixed(1));
    player.setAttribute("aria-valuetext", words(at));
    if (moved) follow(x * (svg.getBoundingClientRect().width / svg.viewBox.baseVal.width));
    const now = lines.filter((line) => line.from <= at).pop()?.item ?? null;
    if (now === current) return;
    current?.classList.remove("now");
    current?.removeAttribute("aria-current");
    current = now;
    if (!now) return;
    now.classList.add("now");
    now.setAttribute("aria-current", "true");
    const list = now.parentElement;  // the list scrolls, never the page
    if (now.offsetTop < list.scrollTop || now.offsetTop + now.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = now.offsetTop - list.clientHeight / 3;
    }
  };
  const frame = () => {
    show(true);
    if (!audio.paused && !audio.ended) requestAnimationFrame(frame);
  };
  const seek = (at) => { audio.currentTime = Math.min(Math.max(at, 0), length()); show(true); };

  const play = () => audio.play().catch(() => {});  // why not is told by the element's own error
  const unplayable = document.getElementById("unplayable");
  audio.addEventListener("error", () => { unplayable.hidden = false; });
  audio.addEventListener("loadedmetadata", () => { unplayable.hidden = true; });
  audio.addEventListener("play", frame);
  for (const event of ["seeked", "timeupdate", "loadedmetadata"]) audio.addEventListener(event, () => show(false));
  audio.addEventListener("loadedmetadata", () => player.setAttribute("aria-valuemax", audio.duration.toFixed(1)));
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) * (svg.viewBox.baseVal.width / box.width);
    seek(x / scale + start - begins);
  });
  document.getElementById("transcript")?.addEventListener("click", (event) => {
    const item = event.target.closest("a.seek")?.closest("li");
    if (!item) return;
    event.preventDefault();
    seek(Number(item.dataset.from) - begins);
    play();
  });
  const keys = {
    ArrowLeft: () => seek(audio.currentTime - 2), ArrowRight: () => seek(audio.currentTime + 2),
    PageDown: () => seek(audio.currentTime - 10), PageUp: () => seek(audio.currentTime + 10),
    Home: () => seek(0), End: () => seek(length()),
    " ": () => (audio.paused ? play() : audio.pause()),
  };
  player.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  show(false);
})();
