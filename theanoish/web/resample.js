// Mono samples at 16 kHz, as theanoish/data/audio.py makes them by SciPy's resample_poly: a low-pass under a Kaiser window.
// (Browsers resample while they decode, but cut so far below 8 kHz that the tags change.)
function resampled(mono, rate) {
  if (rate === SAMPLE_RATE) return mono;
  const gcd = (a, b) => (b ? gcd(b, a % b) : a), up = SAMPLE_RATE / gcd(rate, SAMPLE_RATE), down = (rate * up) / SAMPLE_RATE;
  const most = Math.max(up, down), half = 10 * most;
  const bessel = (x) => {
    let sum = 1;
    for (let term = 1, i = 1; term > 1e-12 * sum; i++) sum += term *= (x / 2 / i) ** 2;
    return sum;
  };
  const filter = Float64Array.from({ length: 2 * half + 1 }, (_, i) => {
    const x = (Math.PI * (i - half)) / most;
    return (x ? Math.sin(x) / x : 1) * bessel(5 * Math.sqrt(1 - ((i - half) / half) ** 2));
  });
  const scale = up / filter.reduce((sum, tap) => sum + tap);
  // A row of output is 4 * up samples and steps by 4 * down; four neighbours in it have filters that begin together.
  const step = 4 * down, rows = Math.ceil(mono.length / step), length = Math.floor((3 * down + 2 * half) / up) + 1;
  const begins = Array.from({ length: up }, (_, four) => Math.ceil((four * step - half) / up)), before = -begins[0];
  const filters = begins.map((begin, four) => Float32Array.from({ length: 4 * length }, (_, i) =>
    scale * (filter[(4 * four + Math.floor(i / length)) * down + half - (begin + (i % length)) * up] ?? 0)));
  const signal = new Float32Array(before + rows * step + length), output = new Float32Array(rows * 4 * up);
  signal.set(mono, before);
  const together = Math.ceil(2 ** 17 / step); // rows that stay in the processor's cache
  for (let row = 0; row < rows; row += together)
    filters.forEach((four, i) => {
      const from = signal.subarray(before + row * step + begins[i]), part = products(from, step, Math.min(together, rows - row), four, 4);
      for (let k = 0, at = 4 * (row * up + i); k < part.length; k++, at += k % 4 ? 1 : 4 * up - 3) output[at] = part[k];
    });
  return output.subarray(0, Math.ceil((mono.length * up) / down));
}

function to16Bits(mono) {
  const samples = new Int16Array(mono.length);
  for (let i = 0; i < mono.length; i++) samples[i] = Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(mono[i] * FULL_SCALE)));
  return samples;
}
