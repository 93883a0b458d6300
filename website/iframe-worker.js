// A page that was opened from disk may not start a worker. There, what a worker would run, the search, runs in a hidden
// frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.answer = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      frame.srcdoc =
        `<script>postMessage = (data) => frameElement.answer(data)</script><script src="${url}"></script>`;
      this.frame = new Promise((done) => frame.addEventListener("load", () => done(frame.contentWindow)));
      document.documentElement.append(frame);
    }

    postMessage(data) {
      this.frame.then((frame) => frame.dispatchEvent(new frame.MessageEvent("message", { data })));
    }
  };
}
