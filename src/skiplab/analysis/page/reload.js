// Asks the server whether the page has changed, and loads it anew where the reader was.
(() => {
  const everyMilliseconds = 3000;
  const line = document.getElementById("progress");
  const key = `skiplab place ${location.pathname}`;
  const folds = () => [...document.querySelectorAll("details[id]")];

  const leave = () => {
    const open = Object.fromEntries(folds().map((fold) => [fold.id, fold.open]));
    const place = { top: scrollY, focus: document.activeElement?.id, open };
    try {
      sessionStorage.setItem(key, JSON.stringify(place));
    } catch {} // a browser that keeps nothing
    location.reload();
  };

  const goBack = () => {
    let place = null;
    try {
      place = JSON.parse(sessionStorage.getItem(key));
      sessionStorage.removeItem(key);
    } catch {}
    if (!place) return;
    for (const fold of folds()) fold.open = place.open[fold.id] ?? fold.open;
    if (place.focus) document.getElementById(place.focus)?.focus({ preventScroll: true });
    scrollTo(0, place.top);
  };

  const ask = async () => {
    try {
      if (!document.hidden) {
        const { version, progress } = await (await fetch("/version", { cache: "no-store" })).json();
        line.textContent = progress;
        if (version !== document.documentElement.dataset.version) return leave();
      }
    } catch {
      line.textContent = "The dashboard doesn't answer; this is what it showed last.";
    }
    setTimeout(ask, everyMilliseconds);
  };

  history.scrollRestoration = "manual";
  goBack();
  ask();
})();
