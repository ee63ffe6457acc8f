"use strict";
(() => {
  const STEPS = 10, LOWEST_SCALE = 0.1, STRONG = 0.5, FAINT = 0.01, LISTED = 3, DOUBTED = 0.7, WIDTH = 10000; // as in theanoish/tagging
  const find = (id) => document.getElementById(id);
  const clone = (id) => find(id).content.firstElementChild.cloneNode(true);
  const data = JSON.parse(find("data").textContent);
  const audio = find("audio"), play = find("play"), now = find("now"), seek = find("seek"), status = find("status");
  const column = find("column"), head = find("head"), hover = find("hover"), filter = find("filter");
  const welcome = status.textContent;
  let song = null; // name, seconds, edges, and by falling mean tags, means and values
  let rows = []; // elements, one for each tag
  let pointed = null; // the moment and row under the pointer
  let begun = false; // whether the song has been played or moved

  const pad = (number) => String(number).padStart(2, "0");
  const clock = (seconds) => {
    const whole = Math.floor(seconds), minutes = Math.floor(whole / 60);
    return minutes < 60 ? `${minutes}:${pad(whole % 60)}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
  };
  const windowAt = (seconds) => Math.max(0, song.edges.findLastIndex((edge, i) => edge <= seconds && i < song.edges.length - 1));
  const probability = (row, window) => song.values[row][window].toFixed(2);
  const percent = (seconds) => `${(100 * Math.min(seconds, song.seconds)) / song.seconds}%`;
  const strongest = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

  function show(next, sound) {
    song = next;
    begun = false;
    URL.revokeObjectURL(audio.src);
    audio.src = URL.createObjectURL(sound);
    find("title").textContent = document.title = song.name;
    find("about").replaceChildren(`${clock(Math.round(song.seconds))} · `, ...summary(song));
    find("length").textContent = clock(Math.round(song.seconds));
    seek.max = song.seconds;
    filter.placeholder = `Filter ${song.tags.length} tags`;
    filter.value = "";
    const top = Math.max(LOWEST_SCALE, ...song.values.map((values) => values[strongest(values)]));
    find("top").textContent = top.toFixed(2);
    find("legend").setAttribute("aria-label", `Colours of probabilities from 0 to ${top.toFixed(2)}`);
    find("axis").replaceChildren(...ticks(song.seconds, 6).map(tick));
    rows = song.tags.map((tag, number) => rowOf(tag, number, top));
    find("rows").replaceChildren(...rows);
    find("none").hidden = true;
    find("song").hidden = false;
    draw();
  }
  const summary = ({ tags, means }) =>
    tags.slice(0, LISTED).flatMap((tag, i) => {
      const best = clone("best");
      best.querySelector("b").textContent = tag;
      best.append(` ${means[i].toFixed(2)}`);
      return i ? [", ", best] : [best];
    });
  function ticks(seconds, most) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
    const step = steps.find((step) => seconds / step <= most) ?? 3600 * (1 + Math.floor(seconds / 3600 / most));
    return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
  }
  function tick(seconds) {
    const mark = clone("tick").firstElementChild, [text, line] = [mark.querySelector("text"), mark.querySelector("line")];
    text.textContent = clock(seconds);
    text.setAttribute("x", percent(seconds));
    for (const end of ["x1", "x2"]) line.setAttribute(end, percent(seconds));
    return mark;
  }
  function strongParts(values) {
    const least = Math.max(STRONG * values[strongest(values)], FAINT), parts = [];
    values.forEach((value, i) => {
      if (value < least) return;
      if (i && values[i - 1] >= least) parts.at(-1)[1] = song.edges[i + 1];
      else parts.push([song.edges[i], song.edges[i + 1]]);
    });
    if (!parts.length) return "nowhere";
    if (parts[0][0] === 0 && parts[0][1] === song.edges.at(-1)) return "throughout";
    const longest = parts.toSorted((a, b) => a[0] - a[1] - b[0] + b[1]).slice(0, LISTED).sort((a, b) => a[0] - b[0]);
    const more = parts.length > LISTED ? ` and ${parts.length - LISTED} shorter` : "";
    return longest.map(([begin, end]) => `${clock(Math.round(begin))}-${clock(Math.round(end))}`).join(", ") + more;
  }
  // A path per colour; neighbouring windows of one colour are one rectangle.
  function colour(paths, values, top) {
    const steps = values.map((value) => Math.min(STEPS - 1, Math.floor((value / top) * STEPS)));
    const places = song.edges.map((edge) => Math.round((edge / song.seconds) * WIDTH)), drawn = Array(STEPS).fill("");
    for (let begin = 0, i = 1; i <= steps.length; i++) {
      if (steps[i] === steps[begin]) continue;
      if (steps[begin]) drawn[steps[begin]] += `M${places[begin]} 0H${places[i]}V1H${places[begin]}z`;
      begin = i;
    }
    paths.forEach((path, step) => path.setAttribute("d", drawn[step]));
  }
  function rowOf(tag, number, top) {
    const row = clone("row"), strip = row.querySelector(".strip"), button = row.querySelector("button");
    const values = song.values[number], mean = song.means[number].toFixed(2), best = strongest(values);
    row.dataset.tag = button.textContent = tag;
    row.dataset.about = `${tag}: mean ${mean}, highest ${values[best].toFixed(2)} at ${clock(Math.round(song.edges[best]))}; strong ${strongParts(values)}`;
    const auc = data.aucs[tag];
    if (auc !== undefined) {
      row.dataset.about += `; AUC ${auc.toFixed(2)} in the test`;
      button.append(Object.assign(document.createElement("small"), { textContent: auc.toFixed(2) }));
      row.classList.toggle("faint", auc < DOUBTED);
    }
    button.setAttribute("aria-label", row.dataset.about);
    colour([...strip.children], values, top);
    const momentAt = (event) => {
      const box = strip.getBoundingClientRect();
      return (Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1)) * song.seconds;
    };
    const point = (seconds) => {
      pointed = { row: number, seconds };
      row.classList.add("lit");
      hover.style.display = "block";
      hover.style.left = percent(seconds);
      showValues(seconds);
      say();
    };
    const leave = () => {
      pointed = null;
      row.classList.remove("lit");
      hover.style.display = "none";
      say();
      draw();
    };
    strip.addEventListener("pointermove", (event) => event.pointerType === "mouse" && point(momentAt(event)));
    strip.addEventListener("pointerleave", leave);
    strip.addEventListener("click", (event) => {
      move(momentAt(event));
      audio.play();
    });
    button.addEventListener("click", () => {
      move(song.edges[best]);
      audio.play();
    });
    const describe = () => {
      row.classList.add("lit");
      status.textContent = row.dataset.about;
    };
    button.addEventListener("focus", describe);
    button.addEventListener("pointerenter", describe);
    button.addEventListener("blur", leave);
    button.addEventListener("pointerleave", leave);
    return row;
  }

  function showValues(seconds) {
    column.textContent = seconds === null ? "mean" : clock(seconds);
    const window = windowAt(seconds);
    rows.forEach((row, i) => (row.lastElementChild.textContent = seconds === null ? song.means[i].toFixed(2) : probability(i, window)));
  }
  function say() {
    const { row, seconds } = pointed ?? {};
    status.textContent = pointed ? `${song.tags[row]} ${probability(row, windowAt(seconds))} at ${clock(seconds)}` : welcome;
  }
  function draw() {
    const seconds = audio.currentTime;
    now.textContent = clock(seconds);
    seek.value = seconds;
    seek.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(song.seconds)}`);
    head.style.left = percent(seconds);
    if (!pointed) showValues(begun ? seconds : null);
    if (!audio.paused) requestAnimationFrame(draw);
  }
  function move(seconds) {
    begun = true;
    audio.currentTime = Math.min(Math.max(seconds, 0), song.seconds - 0.01);
    draw();
  }
  function toggle() {
    if (audio.paused) audio.play();
    else audio.pause();
  }
  for (const event of ["play", "pause", "ended", "seeked"])
    audio.addEventListener(event, () => {
      begun = begun || !audio.paused;
      play.classList.toggle("on", !audio.paused);
      play.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
      draw();
    });
  play.addEventListener("click", toggle);
  seek.addEventListener("input", () => move(Number(seek.value)));
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.dataset.tag.toLowerCase().includes(wanted);
    find("none").hidden = rows.some((row) => !row.hidden);
  });
  const keys = {
    " ": toggle,
    ArrowLeft: () => move(audio.currentTime - 3),
    ArrowRight: () => move(audio.currentTime + 3),
    Home: () => move(0),
    End: () => move(song.seconds),
  };
  const elsewhere = ({ target }) => !song || target.type === "search" || target.closest?.("#chooser");
  document.addEventListener("keydown", (event) => {
    if (elsewhere(event) || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && !elsewhere(event)) event.preventDefault(); // or a button would be pressed
  });

  // The page of a song: a part at a time, since a song's text may be longer than what the browser can turn into one.
  function embedded() {
    const text = find("sound").textContent, parts = [];
    for (let begin = 0; begin < text.length; begin += 2 ** 22) {
      const letters = atob(text.slice(begin, begin + 2 ** 22)), bytes = new Uint8Array(letters.length);
      for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
      parts.push(bytes);
    }
    return new Blob(parts, { type: data.type });
  }

  // The page that tags.
  const RATE = 16000; // of what is heard
  // A file's own rate, at which the browser decodes it as it is; where its beginning does not say, one above all music.
  function rateOf(bytes) {
    const view = new DataView(bytes), text = new TextDecoder("latin1").decode(bytes.slice(0, 2 ** 20));
    const at = (mark) => text.indexOf(mark), little = (place) => view.getUint32(place, true);
    if (text.startsWith("RIFF")) return little(at("fmt ") + 12);
    if (text.startsWith("fLaC")) return view.getUint32(18) >>> 12;
    if (text.startsWith("OggS") && at("\x01vorbis") > 0) return little(at("\x01vorbis") + 12);
    if (at("mp4a") > 0 && at("ftyp") === 4) return view.getUint16(at("mp4a") + 28);
    const tags = text.startsWith("ID3") ? 10 + [6, 7, 8, 9].reduce((size, i) => size * 128 + view.getUint8(i), 0) : 0;
    for (let i = tags; i < bytes.byteLength - 3 && i < tags + 2 ** 16; i++) {
      const head = view.getUint32(i), version = (head >>> 19) & 3, rate = (head >>> 10) & 3;
      if (head >>> 21 === 2047 && version !== 1 && ((head >>> 17) & 3) === 1 && rate < 3) return [44100, 48000, 32000][rate] / [4, 0, 2, 1][version];
    }
    return 48000;
  }
  async function soundOf(file) {
    const bytes = await file.arrayBuffer(), rate = rateOf(bytes);
    const audible = await new OfflineAudioContext(1, 1, rate >= 8000 && rate <= 96000 ? rate : 48000).decodeAudioData(bytes);
    const channels = Array.from({ length: audible.numberOfChannels }, (_, i) => audible.getChannelData(i)), mono = channels[0];
    for (let i = 0; i < mono.length; i++) {
      for (let other = 1; other < channels.length; other++) mono[i] += channels[other][i];
      mono[i] /= channels.length;
    }
    return { mono, rate: audible.sampleRate };
  }
  const heard = (worker, sound, progress) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data: message }) => (message.windows ? resolve(message) : progress(message.share));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(sound, [sound.mono.buffer]);
    });
  function taggram(name, { samples, windows, begins }) {
    const seconds = samples.length / RATE;
    const middles = begins.map((begin) => begin + 1.5);
    const edges = [0, ...middles.slice(1).map((middle, i) => (middle + middles[i]) / 2), seconds];
    const all = data.model.tags.map((tag, i) => ({ tag, values: windows.map((values) => values[i]) }));
    for (const each of all) each.mean = each.values.reduce((sum, value) => sum + value, 0) / windows.length;
    all.sort((a, b) => b.mean - a.mean);
    return { name, seconds, edges, tags: all.map((a) => a.tag), means: all.map((a) => a.mean), values: all.map((a) => a.values) };
  }
  // The file, if the browser plays it in the length that was heard; or those samples as WAV.
  async function playable(file, samples) {
    const player = new Audio(URL.createObjectURL(file));
    await new Promise((resolve) => (player.onloadedmetadata = player.onerror = resolve));
    URL.revokeObjectURL(player.src);
    if (Math.abs(player.duration - samples.length / RATE) < 0.3) return file;
    const bytes = samples.length * 2, header = new DataView(new ArrayBuffer(44));
    [..."RIFF    WAVEfmt                     data"].forEach((letter, i) => header.setUint8(i, letter.charCodeAt(0)));
    for (const [at, value] of [[4, 36 + bytes], [16, 16], [20, 0x10001], [24, RATE], [28, 2 * RATE], [32, 0x100002], [40, bytes]])
      header.setUint32(at, value, true);
    return new Blob([header, samples], { type: "audio/wav" });
  }
  async function tag(worker, file) {
    const entry = clone("entry"), [button, about, bar] = entry.children, name = file.name.replace(/(.)\.[^.]*$/, "$1");
    button.textContent = name;
    find("songs").append(entry);
    return async () => {
      try {
        const windows = await heard(worker, await soundOf(file), (share) => (bar.value = share));
        const next = taggram(name, windows), sound = await playable(file, windows.samples);
        about.replaceChildren(...summary(next));
        button.disabled = false;
        button.addEventListener("click", () => show(next, sound));
        if (!song) show(next, sound);
      } catch (error) {
        about.textContent = `cannot be decoded by this browser (${error.message}). Save it as MP3, such as by “ffmpeg -i SONG song.mp3”, and drop that.`;
      }
      bar.remove();
    };
  }
  function offerTagging() {
    find("chooser").hidden = false;
    const code = new Blob([find("network").textContent], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(code));
    worker.postMessage({ model: data.model });
    let queue = Promise.resolve(), songs = 0, done = 0;
    const take = async (files) => {
      songs += files.length;
      for (const job of await Promise.all([...files].map((file) => tag(worker, file))))
        queue = queue.then(job).then(() => (find("message").textContent = `${++done} of ${songs} songs heard.`));
    };
    find("files").addEventListener("change", (event) => take(event.target.files));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      take(event.dataTransfer.files);
    });
  }
  if (data.model) offerTagging();
  else show(data, embedded());
})();
