/* A person's seat: hears a call or places one by WebRTC (bridge/seat), with the microphone only while somebody is to
   hear it. What may be done is the bridge's to say; every word comes from the page. */
"use strict";
(() => {
  const seat = document.getElementById("seat");
  if (!seat) return;
  const words = JSON.parse(seat.dataset.words);
  const { kind, url, csrf, base } = seat.dataset;
  const part = (name) => seat.querySelector(`[data-part=${name}]`);
  const speaker = part("speaker");
  const GATHER_MS = 2000;
  const KNOWN = ["ice", "worker"];  // why it ended, where the page has words for that
  const SPEAKS = ["whisper", "join", "taking", "alone", "back"];
  let peer = null, channel = null, sender = null, id = "", microphone = null, sound = null;
  let meters = [];

  // ---- what is shown -------------------------------------------------------------------------------------------------
  const show = (state, line = words.is[state]) => {
    seat.dataset.state = state;
    part("state").textContent = line;
    for (const one of seat.querySelectorAll("[data-when]")) one.hidden = !one.dataset.when.split(" ").includes(state);
    for (const one of seat.querySelectorAll("[name=seat-mode]")) one.checked = one.value === state;
    heardOrNot();
  };
  const heardOrNot = () => {
    const on = Boolean(microphone?.enabled);
    part("microphone").textContent = on ? words.microphone_on : words.microphone_off;
    const mute = seat.querySelector("[data-act=mute]");
    mute.hidden = !microphone;
    mute.textContent = on ? words.mute : words.unmute;
    mute.setAttribute("aria-pressed", String(!on));
  };
  const problem = (text) => {
    part("problem").textContent = text;
    part("problem").hidden = !text;
  };
  const busy = (on) => { for (const one of seat.querySelectorAll("button, [name=seat-mode]")) one.disabled = on; };

  // ---- the bridge ----------------------------------------------------------------------------------------------------
  const post = async (path, fields = {}) => {
    const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ csrf, ...fields }) });
    const json = answer.headers.get("content-type")?.startsWith("application/json");
    const found = json ? await answer.json() : { error: words.wrong.answer };
    if (found.error) throw new Error(found.error);
    return found;
  };
  const mine = (what, fields) => post(`${base}/seats/${id}/${what}`, fields);

  // ---- microphone and meters -----------------------------------------------------------------------------------------
  const wrong = (error) => ({ NotAllowedError: words.wrong.denied, NotFoundError: words.wrong.none })[error.name]
    ?? `${words.wrong.microphone} ${error.name}`;
  const speakUp = async () => {
    if (microphone) return;
    if (!navigator.mediaDevices) throw new Error(words.wrong.https);
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, autoGainControl: true } });
    } catch (error) { throw new Error(wrong(error)); }
    microphone = stream.getAudioTracks()[0];
    await sender?.replaceTrack(microphone);
    measure("you", stream);
    heardOrNot();
  };
  const beStill = async () => {
    microphone?.stop();
    microphone = null;
    meters = meters.filter((one) => one.name !== "you");
    part("you").value = 0;
    await sender?.replaceTrack(null);
    heardOrNot();
  };
  const measure = (name, stream) => {
    sound = sound || new AudioContext();
    sound.resume();
    const analyser = sound.createAnalyser();
    analyser.fftSize = 1024;
    sound.createMediaStreamSource(stream).connect(analyser);
    meters.push({ name, analyser, samples: new Float32Array(1024) });
  };
  setInterval(() => {
    for (const { name, analyser, samples } of meters) {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length;
      const dbfs = 10 * Math.log10(power + 1e-9);
      part(name).value = Math.max(0, Math.min(1, (dbfs + 60) / 60));
    }
  }, 100);

  // ---- connecting ----------------------------------------------------------------------------------------------------
  const gathered = (one) => new Promise((done) => {
    if (one.iceGatheringState === "complete") done();
    one.addEventListener("icegatheringstatechange", () => one.iceGatheringState === "complete" && done());
    setTimeout(done, GATHER_MS);
  });
  const connect = async (fields) => {
    const own = peer = new RTCPeerConnection({ iceServers: JSON.parse(seat.dataset.ice) });
    channel = peer.createDataChannel("seat");
    channel.onmessage = (message) => { if (peer === own) take(JSON.parse(message.data)); };
    sender = peer.addTransceiver(microphone ?? "audio", { direction: "sendrecv" }).sender;
    peer.ontrack = ({ track }) => {
      const stream = new MediaStream([track]);
      speaker.srcObject = stream;
      speaker.play().catch(() => {});
      measure("they", stream);
    };
    peer.onconnectionstatechange = () => {
      if (peer === own && own.connectionState === "failed") over(words.wrong.ice, true);
    };
    await peer.setLocalDescription();
    await gathered(own);
    const found = await post(url, { ...fields, offer: own.localDescription.sdp });
    id = found.seat;
    if (peer !== own) return void mine("leave").catch(() => {});  // left meanwhile
    await peer.setRemoteDescription({ type: "answer", sdp: found.answer });
  };
  const take = (news) => {
    if (news.call_id && kind === "phone") {
      const link = part("live").querySelector("a");
      link.href = `${base}/calls/${news.call_id}`;
      part("live").hidden = false;
    }
    if (news.state === "on_call") show("listen");
    else if (news.state === "over") over(KNOWN.includes(news.why) ? words.wrong[news.why] : news.why, KNOWN.includes(news.why));
    else if (news.state) show(news.state);
  };
  const over = (why, bad = false) => {
    const before = peer;
    peer = channel = sender = null;
    id = "";
    before?.close();
    microphone?.stop();
    microphone = null;
    meters = [];
    speaker.srcObject = null;
    show("idle", bad || !why ? words.is.idle : words.over.replace("{why}", why));
    problem(bad ? why : "");
  };

  // ---- what people do ------------------------------------------------------------------------------------------------
  const acts = {
    async listen() {
      show("connecting");
      await connect({ mode: "listen" });
    },
    async call(form) {
      show("connecting");
      part("live").hidden = true;
      await speakUp();
      await connect({ number: form.number.value, caller: form.caller.value });
    },
    async mode(mode) {
      if (mode !== "listen") await speakUp();
      await mine("mode", { mode });
      if (mode === "listen") await beStill();
      show(mode);
    },
    async "take-over"() {
      await speakUp();
      show("taking");
      await mine("take-over");
      show("alone");
    },
    async "hand-back"(form) {
      show("back");
      await mine("hand-back", { note: form.note.value });
      form.reset();
      await beStill();
      show("listen");
    },
    async leave() {
      if (id) await mine("leave").catch(() => {});
      over("");
    },
    async mute() {
      if (microphone) microphone.enabled = !microphone.enabled;
      heardOrNot();
    },
  };
  const act = async (name, ...with_what) => {
    problem("");
    const before = seat.dataset.state;
    const alone = !["leave", "mute"].includes(name);
    if (alone) busy(true);
    try {
      if (!window.RTCPeerConnection) throw new Error(words.wrong.webrtc);
      await acts[name](...with_what);
    } catch (error) {
      if (["listen", "call"].includes(name)) over(error.message, true);
      else {
        problem(error.message);
        if (peer) show(before);
        if (peer && !SPEAKS.includes(before)) await beStill();
      }
    } finally {
      if (alone) busy(false);
      for (const one of seat.querySelectorAll("[data-act=leave]")) one.disabled = false;
    }
  };
  const press = (button) => {
    if (channel?.readyState !== "open") return;
    channel.send(JSON.stringify({ keys: button.dataset.key }));
    button.classList.add("pressed");
    setTimeout(() => button.classList.remove("pressed"), 150);
  };
  seat.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.dataset.key) press(button);
    else if (button?.dataset.act) act(button.dataset.act);
  });
  seat.addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.target.dataset.act, event.target);
  });
  seat.addEventListener("change", ({ target }) => { if (target.name === "seat-mode") act("mode", target.value); });
  document.addEventListener("keydown", ({ key, target, ctrlKey, metaKey, altKey }) => {
    if (ctrlKey || metaKey || altKey || target.closest("input, textarea")) return;
    const button = /^[0-9*#]$/.test(key) && seat.querySelector(`[data-key="${key}"]`);
    if (button && seat.dataset.state === "talking") press(button);
  });
  window.addEventListener("pagehide", () => {
    if (id) navigator.sendBeacon(`${base}/seats/${id}/leave`, new URLSearchParams({ csrf }));
    over("");  // a page that is kept for the way back must not keep the microphone
  });
  show("idle");
})();
