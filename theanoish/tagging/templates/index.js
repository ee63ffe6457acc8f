"use strict";
(() => {
  const DOUBTED = 0.7; // AUC below which a tag is faint
  const LISTED = 3; // likeliest tags below a song's title
  const find = (id) => document.getElementById(id);
  const clone = (id) => find(id).content.firstElementChild.cloneNode(true);
  const { tags, aucs, chosen, songs } = JSON.parse(find("data").textContent);
  const search = find("search"), folder = find("folder"), grouped = find("grouped"), sort = find("sort");
  const table = find("library"), folders = [...new Set(songs.map((song) => song.folder))];
  const least = new Map(); // by tag, the probability that songs must have
  let order = { key: "", down: false }; // by which the songs are sorted; "" is the order of their files

  const clock = (seconds) => {
    const minutes = Math.floor(seconds / 60), rest = String(seconds % 60).padStart(2, "0");
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
  };
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase(); // whatever the accents
  const named = (tag) => (aucs[tag] == null ? tags[tag] : `${tags[tag]} (${aucs[tag].toFixed(2)})`);
  const doubted = (tag) => aucs[tag] != null && aucs[tag] < DOUBTED;
  const highest = tags.map((_, tag) => songs.reduce((most, song) => Math.max(most, song.means[tag]), 0));
  songs.forEach((song) => (song.text = plain(`${song.title}\n${song.artist}\n${song.folder}`)));

  function makeRow(song) {
    const row = (song.row = clone("song")), [name, artist, length] = row.children;
    const [link, button, under] = name.children;
    link.href = song.page;
    link.textContent = song.title;
    artist.textContent = song.artist;
    length.textContent = clock(song.seconds);
    const best = tags.map((_, tag) => tag).sort((a, b) => song.means[b] - song.means[a]).slice(0, LISTED);
    under.firstElementChild.textContent = [song.artist, `${clock(song.seconds)}, `].filter(Boolean).join(", ");
    under.append(best.map((tag) => `${tags[tag]} ${song.means[tag].toFixed(2)}`).join(", "));
    button.setAttribute("aria-label", `What sounds like ${song.title}`);
    button.hidden = !song.alike.length;
    button.addEventListener("click", () => expand(song, button.getAttribute("aria-expanded") === "false"));
    button.setAttribute("aria-expanded", "false");
    row.append(...chosen.map((tag) => {
      const cell = document.createElement("td");
      cell.className = doubted(tag) ? "tag faint" : "tag";
      cell.textContent = song.means[tag].toFixed(2);
      cell.style.setProperty("--share", song.means[tag] / (highest[tag] || 1));
      return cell;
    }));
  }
  function expand(song, open) {
    song.row.querySelector("button").setAttribute("aria-expanded", open);
    song.more?.remove();
    song.more = open ? clone("alike") : null;
    if (!open) return;
    song.more.firstElementChild.colSpan = 3 + chosen.length;
    song.more.querySelector("ol").append(...song.alike.map(([other, cosine]) => {
      const entry = clone("entry"), [link, about] = entry.children, { page, title, artist } = songs[other];
      link.href = page;
      link.textContent = title;
      about.textContent = [artist, cosine.toFixed(2)].filter(Boolean).join(", ");
      return entry;
    }));
    song.row.after(song.more);
  }

  const keys = () => [["title", "Song"], ["artist", "Artist"], ["seconds", "Length"], ...chosen.map((tag) => [String(tag), tags[tag]])];
  const isTag = (key) => /^\d/.test(key);
  function makeHead() {
    find("head").replaceChildren(...keys().map(([key, name]) => {
      const heading = clone("heading"), button = heading.firstElementChild;
      heading.dataset.key = key;
      heading.className = { artist: "artist", seconds: "length", title: "" }[key] ?? (doubted(key) ? "tag faint" : "tag");
      button.textContent = name;
      button.addEventListener("click", () => {
        // tags begin with the likeliest; the third click is the order of the files
        const begun = order.key === key, downFirst = isTag(key);
        order = begun && order.down !== downFirst ? { key: "", down: false } : { key, down: begun ? !order.down : downFirst };
        arrange();
      });
      if (isTag(key)) {
        const input = clone("limit");
        input.setAttribute("aria-label", `${name} from`);
        input.value = least.get(Number(key)) ?? "";
        input.addEventListener("input", () => {
          if (input.value) least.set(Number(key), input.valueAsNumber);
          else least.delete(Number(key));
          choose();
        });
        heading.append(input);
      }
      return heading;
    }));
    sort.replaceChildren(new Option("files", ""), ...keys().map(([key, name]) => new Option(name, key)));
  }
  const collator = new Intl.Collator(undefined, { numeric: true });
  function compare(one, other) {
    if (isTag(order.key)) return one.means[order.key] - other.means[order.key];
    if (order.key === "seconds") return one.seconds - other.seconds;
    return collator.compare(one[order.key], other[order.key]);
  }
  function arrange() {
    const sorted = order.key ? songs.toSorted((a, b) => (order.down ? compare(b, a) : compare(a, b))) : songs;
    const groups = grouped.checked && folders.length > 1 ? Map.groupBy(sorted, (song) => song.folder) : new Map([["", sorted]]);
    for (const body of [...table.tBodies]) body.remove();
    for (const name of groups.size > 1 ? folders : [""]) {
      const body = clone("group"), heading = body.querySelector("th");
      heading.textContent = name;
      heading.colSpan = 3 + chosen.length;
      if (!name) body.firstElementChild.remove();
      body.append(...groups.get(name).flatMap((song) => (song.more ? [song.row, song.more] : [song.row])));
      table.append(body);
    }
    for (const heading of find("head").children) {
      heading.ariaSort = heading.dataset.key !== order.key ? "none" : order.down ? "descending" : "ascending";
    }
    sort.value = order.key;
    choose();
  }
  function choose() {
    const words = plain(search.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const song of songs) {
      const fits = words.every((word) => song.text.includes(word)) && (!folder.value || song.folder === folder.value)
        && [...least].every(([tag, value]) => song.means[tag] >= value);
      song.row.hidden = !fits;
      if (song.more) song.more.hidden = !fits;
      shown += fits;
    }
    for (const body of table.tBodies) body.hidden = ![...body.rows].some((row) => !row.hidden && row.className !== "group");
    find("count").textContent = shown === songs.length ? `${shown} songs` : `${shown} of ${songs.length} songs`;
  }
  function begin() {
    const open = songs.filter((song) => song.more);
    songs.forEach(makeRow);
    open.forEach((song) => expand(song, true));
    makeHead();
    arrange();
  }

  folder.append(...folders.map((name) => new Option(name, name)));
  find("places").hidden = find("keep").hidden = folders.length < 2;
  find("choices").append(...tags.map((_, tag) => {
    const label = clone("choice"), [box, name] = label.children;
    name.textContent = named(tag);
    label.className = doubted(tag) ? "faint" : "";
    box.checked = chosen.includes(tag);
    box.addEventListener("change", () => {
      if (box.checked) chosen.push(tag);
      else chosen.splice(chosen.indexOf(tag), 1);
      if (!box.checked) least.delete(tag);
      if (!box.checked && order.key === String(tag)) order = { key: "", down: false };
      begin();
    });
    return label;
  }));
  search.addEventListener("input", choose);
  folder.addEventListener("change", choose);
  grouped.addEventListener("change", arrange);
  sort.addEventListener("change", () => {
    order = { key: sort.value, down: isTag(sort.value) };
    arrange();
  });
  begin();
})();
