"use strict";
(() => {
  const STEPS = 10, LOWEST_SCALE = 0.1, STRONG = 0.5, FAINT = 0.01, LISTED = 3, DOUBTED = 0.7, WIDTH = 10000; // as in theanoish/tagging
  const CLOSEST = 20; // seconds that the closest zoom shows
  const find = (id) => document.getElementById(id);
  const clone = (id) => find(id).content.firstElementChild.cloneNode(true);
  const on = (element, events, act) => events.split(" ").forEach((event) => element.addEventListener(event, act));
  const data = JSON.parse(find("data").textContent);
  const audio = find("audio"), play = find("play"), seek = find("seek"), status = find("status"), filter = find("filter");
  const map = find("map"), field = find("field"), head = find("head"), hover = find("hover");
  const welcome = status.textContent;
  let song = null; // name, seconds, edges, and by falling mean tags, means and values
  let rows = []; // elements, one for each tag
  let pointed = null; // the moment and row under the pointer
  let begun = false; // whether the song has been played or moved
  let zoom = 1;

  const pad = (number) => String(number).padStart(2, "0");
  const clock = (seconds) => {
    const whole = Math.floor(seconds), minutes = Math.floor(whole / 60);
    return minutes < 60 ? `${minutes}:${pad(whole % 60)}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
  };
  const clamp = (number, low, high) => Math.min(Math.max(number, low), high);
  const windowAt = (seconds) => Math.max(0, song.edges.findLastIndex((edge, i) => edge <= seconds && i < song.edges.length - 1));
  const probability = (row, window) => song.values[row][window].toFixed(2);
  const percent = (seconds) => `${(100 * Math.min(seconds, song.seconds)) / song.seconds}%`;
  const strongest = (values) => values.reduce((best, value, i) => (value > values[best] ? i : best), 0);

  function show(next, source) {
    song = next;
    begun = false;
    URL.revokeObjectURL(audio.src);
    audio.src = source instanceof Blob ? URL.createObjectURL(source) : source;
    find("title").textContent = document.title = song.name;
    find("about").replaceChildren(`${clock(Math.round(song.seconds))} · `, ...summary(song));
    find("length").textContent = clock(Math.round(song.seconds));
    seek.max = song.seconds;
    filter.placeholder = `Filter ${song.tags.length} tags`;
    filter.value = "";
    const top = Math.max(LOWEST_SCALE, ...song.values.map((values) => values[strongest(values)]));
    find("top").textContent = top.toFixed(2);
    find("legend").setAttribute("aria-label", `Colours of probabilities from 0 to ${top.toFixed(2)}`);
    rows = song.tags.map((tag, number) => rowOf(tag, number, top));
    find("rows").replaceChildren(...rows);
    find("none").hidden = true;
    find("song").hidden = false;
    look(1);
  }
  const summary = ({ tags, means }) =>
    tags.slice(0, LISTED).flatMap((tag, i) => {
      const best = clone("best");
      best.querySelector("b").textContent = tag;
      best.append(` ${means[i].toFixed(2)}`);
      return i ? [", ", best] : [best];
    });
  // The map so many times as wide, with what is pointed at or played in its middle.
  function look(times) {
    zoom = clamp(times, 1, Math.max(1, 2 ** Math.floor(Math.log2(song.seconds / CLOSEST))));
    map.style.setProperty("--zoom", zoom);
    find("closer").disabled = zoom * 2 * CLOSEST > song.seconds;
    find("wider").disabled = zoom === 1;
    find("axis").replaceChildren(...ticks(song.seconds, 6 * zoom).map(tick));
    follow(pointed?.seconds ?? audio.currentTime);
    draw();
  }
  const follow = (seconds) => (map.scrollLeft = field.offsetWidth * (seconds / song.seconds - 0.5 / zoom));
  function ticks(seconds, most) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
    const step = steps.find((step) => seconds / step <= most) ?? 3600 * (1 + Math.floor(seconds / 3600 / most));
    return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
  }
  function tick(seconds) {
    const mark = clone("tick").firstElementChild, text = mark.querySelector("text"), line = mark.querySelector("line");
    text.textContent = clock(seconds);
    for (const [end, name] of [[text, "x"], [line, "x1"], [line, "x2"]]) end.setAttribute(name, percent(seconds));
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
    return longest.map((part) => part.map((end) => clock(Math.round(end))).join("-")).join(", ") + more;
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
    const row = clone("row"), button = row.querySelector("button"), strip = row.querySelector(".strip");
    const values = song.values[number], best = strongest(values), auc = data.aucs[tag];
    row.dataset.tag = row.querySelector("b").textContent = tag;
    row.dataset.about =
      `${tag}: mean ${song.means[number].toFixed(2)}, highest ${values[best].toFixed(2)} at ${clock(Math.round(song.edges[best]))}; ` +
      `strong ${strongParts(values)}${auc === undefined ? "" : `; AUC ${auc.toFixed(2)} in the test`}`;
    button.setAttribute("aria-label", row.dataset.about);
    row.querySelector("small").textContent = auc?.toFixed(2) ?? "";
    row.classList.toggle("faint", auc < DOUBTED);
    colour([...strip.children], values, top);
    const momentAt = (event) => {
      const box = strip.getBoundingClientRect();
      return clamp((event.clientX - box.left) / box.width, 0, 1) * song.seconds;
    };
    on(strip, "click", (event) => playFrom(momentAt(event)));
    on(strip, "pointermove", (event) => {
      if (event.pointerType !== "mouse") return;
      pointed = { row: number, seconds: momentAt(event) };
      row.classList.add("lit");
      hover.style.display = "block";
      hover.style.left = percent(pointed.seconds);
      showValues(pointed.seconds);
      status.textContent = `${tag} ${probability(number, windowAt(pointed.seconds))} at ${clock(pointed.seconds)}`;
    });
    on(button, "click", () => playFrom(song.edges[best]));
    on(button, "focus pointerenter", () => {
      row.classList.add("lit");
      status.textContent = row.dataset.about;
    });
    const leave = () => {
      pointed = null;
      row.classList.remove("lit");
      hover.style.display = "none";
      status.textContent = welcome;
      draw();
    };
    on(strip, "pointerleave", leave);
    on(button, "blur pointerleave", leave);
    return row;
  }

  function showValues(seconds) {
    find("column").textContent = seconds === null ? "mean" : clock(seconds);
    const window = windowAt(seconds);
    rows.forEach((row, i) => (row.lastElementChild.textContent = seconds === null ? song.means[i].toFixed(2) : probability(i, window)));
  }
  function draw() {
    const seconds = audio.currentTime;
    find("now").textContent = clock(seconds);
    seek.value = seconds;
    seek.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(song.seconds)}`);
    head.style.left = percent(seconds);
    if (!pointed) showValues(begun ? seconds : null);
    if (audio.paused) return;
    const place = (field.offsetWidth * seconds) / song.seconds - map.scrollLeft; // in what is seen of the map
    if (zoom > 1 && !pointed && (place < 0 || place * zoom > field.offsetWidth)) follow(seconds);
    requestAnimationFrame(draw);
  }
  function move(seconds) {
    begun = true;
    audio.currentTime = clamp(seconds, 0, song.seconds - 0.01);
    draw();
  }
  function playFrom(seconds) {
    move(seconds);
    audio.play();
  }
  const toggle = () => (audio.paused ? audio.play() : audio.pause());
  on(audio, "play pause ended seeked", () => {
    begun ||= !audio.paused;
    play.classList.toggle("on", !audio.paused);
    play.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    draw();
  });
  on(audio, "error", () => (status.textContent = `This browser does not play the sound: ${audio.error?.message || "it is not there"}.`));
  on(play, "click", toggle);
  on(seek, "input", () => move(Number(seek.value)));
  on(filter, "input", () => {
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
    "+": () => look(zoom * 2),
    "-": () => look(zoom / 2),
  };
  on(find("closer"), "click", keys["+"]);
  on(find("wider"), "click", keys["-"]);
  const elsewhere = ({ target }) => !song || target.type === "search" || target.closest?.("#chooser");
  on(document, "keydown", (event) => {
    if (elsewhere(event) || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  on(document, "keyup", (event) => event.key === " " && !elsewhere(event) && event.preventDefault()); // or a button would be pressed

  // A part at a time, since a song's text may be longer than what the browser can turn into one.
  function bytesOf(text) {
    const bytes = new Uint8Array((text.length / 4) * 3);
    let end = 0;
    for (let begin = 0; begin < text.length; begin += 2 ** 22) {
      const letters = atob(text.slice(begin, begin + 2 ** 22));
      for (let i = 0; i < letters.length; i++) bytes[end++] = letters.charCodeAt(i);
    }
    return bytes.subarray(0, end);
  }

  // A file's own rate, at which the browser decodes it as it is; where its beginning does not say, one above all music.
  function rateOf(bytes) {
    const view = new DataView(bytes), text = new TextDecoder("latin1").decode(bytes.slice(0, 2 ** 20));
    const at = (mark) => text.indexOf(mark), little = (place) => view.getUint32(place, true);
    if (text.startsWith("RIFF")) return little(at("fmt ") + 12);
    if (text.startsWith("fLaC")) return view.getUint32(18) >>> 12;
    if (text.startsWith("OggS") && at("\x01vorbis") > 0) return little(at("\x01vorbis") + 12);
    if (at("ftyp") === 4 && at("mp4a") > 0) return view.getUint16(at("mp4a") + 28);
    const tags = text.startsWith("ID3") ? 10 + [6, 7, 8, 9].reduce((size, i) => size * 128 + view.getUint8(i), 0) : 0;
    if (!/^\xff[\xe2\xe3\xf2\xf3\xfa\xfb][^\xf0-\xff]/.test(text.slice(tags))) return 48000;
    const header = view.getUint32(tags);
    return [44100, 48000, 32000, 0][(header >>> 10) & 3] / [4, 0, 2, 1][(header >>> 19) & 3];
  }
  // The mean of a song's channels at its own rate, and what plays it: its file, or WAV where the browser takes that to be of another length.
  async function soundOf(file) {
    const bytes = await file.arrayBuffer(), rate = rateOf(bytes);
    const decoded = await new OfflineAudioContext(1, 1, rate >= 8000 && rate <= 96000 ? rate : 48000).decodeAudioData(bytes);
    const channels = Array.from({ length: decoded.numberOfChannels }, (_, i) => decoded.getChannelData(i)), [mono, ...others] = channels;
    const player = new Audio(URL.createObjectURL(file));
    await new Promise((resolve) => (player.onloadedmetadata = player.onerror = resolve));
    URL.revokeObjectURL(player.src);
    const source = Math.abs(player.duration - decoded.duration) < 0.3 ? file : wavOf(channels.slice(0, 2), decoded.sampleRate);
    for (const other of others) for (let i = 0; i < mono.length; i++) mono[i] += other[i];
    if (others.length) for (let i = 0; i < mono.length; i++) mono[i] /= channels.length;
    return { mono, rate: decoded.sampleRate, source };
  }
  function wavOf(channels, rate) {
    const samples = new Int16Array(channels[0].length * channels.length), size = 2 * channels.length, header = new DataView(new ArrayBuffer(44));
    channels.forEach((channel, side) => channel.forEach((value, i) => (samples[i * channels.length + side] = clamp(value, -1, 1) * 32767)));
    [..."RIFF    WAVEfmt                     data"].forEach((letter, i) => header.setUint8(i, letter.charCodeAt(0)));
    const fields = [[4, 36 + samples.byteLength], [16, 16], [20, 1 + channels.length * 2 ** 16], [24, rate], [28, size * rate], [32, size + 2 ** 20], [40, samples.byteLength]];
    for (const [at, value] of fields) header.setUint32(at, value, true);
    return new Blob([header, samples], { type: "audio/wav" });
  }
  const heard = (worker, sound, progress) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data: message }) => (message.windows ? resolve(message) : progress(message.share));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(sound, [sound.mono.buffer]);
    });
  function taggram(name, { seconds, windows, begins }) {
    const edges = [0, ...begins.slice(1).map((begin, i) => (begin + begins[i] + 3) / 2), seconds];
    const all = data.model.tags.map((tag, i) => ({ tag, values: windows.map((values) => values[i]) }));
    for (const each of all) each.mean = each.values.reduce((sum, value) => sum + value, 0) / windows.length;
    all.sort((a, b) => b.mean - a.mean);
    return { name, seconds, edges, tags: all.map((a) => a.tag), means: all.map((a) => a.mean), values: all.map((a) => a.values) };
  }
  function enter(worker, file) {
    const entry = clone("entry"), [button, about, bar] = entry.children;
    button.textContent = file.name.replace(/(.)\.[^.]*$/, "$1");
    find("songs").append(entry);
    return async () => {
      try {
        const { source, ...sound } = await soundOf(file);
        const next = taggram(button.textContent, await heard(worker, sound, (share) => (bar.value = share)));
        about.replaceChildren(...summary(next));
        button.disabled = false;
        on(button, "click", () => show(next, source));
        if (!song) show(next, source);
      } catch (error) {
        about.textContent = `cannot be decoded by this browser (${error.message}). Save it as MP3, such as by “ffmpeg -i SONG song.mp3”, and drop that.`;
      }
      bar.remove();
    };
  }
  function offerTagging() {
    find("chooser").hidden = false;
    const worker = new Worker(URL.createObjectURL(new Blob([find("network").textContent], { type: "text/javascript" })));
    worker.postMessage({ model: { ...data.model, bytes: bytesOf(find("weights").textContent) } });
    let queue = Promise.resolve(), songs = 0, done = 0;
    const take = (files) => {
      songs += files.length;
      for (const tag of [...files].map((file) => enter(worker, file)))
        queue = queue.then(tag).then(() => (find("message").textContent = `${++done} of ${songs} songs done.`));
    };
    on(find("files"), "change", (event) => take(event.target.files));
    on(document, "dragover", (event) => event.preventDefault());
    on(document, "drop", (event) => {
      event.preventDefault();
      take(event.dataTransfer.files);
    });
  }
  if (data.model) offerTagging();
  else show(data, data.source ?? new Blob([bytesOf(find("sound").textContent)], { type: data.type }));
})();
