"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const audio = find("audio"), play = find("play"), now = find("now"), seek = find("seek"), status = find("status");
  const column = find("column"), head = find("head"), hover = find("hover"), rows = [...find("rows").children];
  const values = rows.map((row) => row.querySelector(".value"));
  const welcome = status.textContent;
  let pointed = null; // the moment and row under the pointer
  let begun = false; // whether the song has been played or moved

  const bytes = Uint8Array.from(atob(find("sound").textContent), (letter) => letter.charCodeAt(0));
  audio.src = URL.createObjectURL(new Blob([bytes], { type: data.type }));

  const pad = (number) => String(number).padStart(2, "0");
  const clock = (seconds) => {
    const whole = Math.floor(seconds), minutes = Math.floor(whole / 60);
    return minutes < 60 ? `${minutes}:${pad(whole % 60)}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(whole % 60)}`;
  };
  const windowAt = (seconds) => Math.max(0, data.edges.findLastIndex((edge, i) => edge <= seconds && i < data.edges.length - 1));
  const probability = (row, window) => (data.values[row][window] / 1000).toFixed(2);
  const percent = (seconds) => `${(100 * Math.min(seconds, data.seconds)) / data.seconds}%`;

  function showValues(seconds) {
    column.textContent = seconds === null ? "mean" : clock(seconds);
    const window = windowAt(seconds);
    values.forEach((value, row) => (value.textContent = seconds === null ? value.dataset.mean : probability(row, window)));
  }
  function say() {
    const { row, seconds } = pointed ?? {};
    status.textContent = pointed ? `${rows[row].dataset.tag} ${probability(row, windowAt(seconds))} at ${clock(seconds)}` : welcome;
  }
  function draw() {
    const seconds = audio.currentTime;
    now.textContent = clock(seconds);
    seek.value = seconds;
    seek.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(data.seconds)}`);
    head.style.left = percent(seconds);
    if (!pointed) showValues(begun ? seconds : null);
    if (!audio.paused) requestAnimationFrame(draw);
  }
  function move(seconds) {
    begun = true;
    audio.currentTime = Math.min(Math.max(seconds, 0), data.seconds - 0.01);
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

  rows.forEach((row, number) => {
    const strip = row.querySelector(".strip"), button = row.querySelector("button");
    const momentAt = (event) => {
      const box = strip.getBoundingClientRect();
      return (Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1)) * data.seconds;
    };
    const point = (seconds, line) => {
      pointed = { row: number, seconds };
      row.classList.add("lit");
      hover.style.display = line ? "block" : "none";
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
    strip.addEventListener("pointermove", (event) => event.pointerType === "mouse" && point(momentAt(event), true));
    strip.addEventListener("pointerleave", leave);
    strip.addEventListener("click", (event) => {
      move(momentAt(event));
      audio.play();
    });
    button.addEventListener("click", () => {
      const strongest = data.values[number].reduce((best, value, i, all) => (value > all[best] ? i : best), 0);
      move(data.edges[strongest]);
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
  });

  find("filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.dataset.tag.toLowerCase().includes(wanted);
    find("none").hidden = rows.some((row) => !row.hidden);
  });

  const keys = {
    " ": toggle,
    ArrowLeft: () => move(audio.currentTime - 3),
    ArrowRight: () => move(audio.currentTime + 3),
    Home: () => move(0),
    End: () => move(data.seconds),
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.type === "search" || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target.type !== "search") event.preventDefault(); // or a button would be pressed
  });
  draw();
})();
