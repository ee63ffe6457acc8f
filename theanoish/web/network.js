"use strict";
// The paper's network, from samples to tags, as theanoish/model/network.py has it: Fig. 1 read downwards.
// Maps are Float32Arrays (time × channels); filters are (filters × width × channels), so that a convolution over time is
// one product of overlapping rows.
const SAMPLE_RATE = 16000, WINDOW_SAMPLES = 48000, FULL_SCALE = 32768, COMPRESSION = 10000, L2_STABILISER = 1e-6;
const WIDTH = 8, POOL = 4, HIDDEN_UNITS = 100, MEL_CHANNELS = 128, SHORTEST_FFT = 1024;

const compress = (x) => Math.log(1 + COMPRESSION * x);
function meanSquare(maps, at, size) {
  let sum = 0;
  for (let i = at; i < at + size; i++) sum += maps[i] * maps[i];
  return sum / size;
}
// What follows the strided convolution, by pooling (Table 3) and nonlinearity (Table 2), for a pool of `size` filters.
const AFTER_STRIDED = {
  "none, relu": (maps, at) => Math.max(0, maps[at]),
  "none, log-square": (maps, at) => compress(maps[at] * maps[at]),
  "none, log-absolute": (maps, at) => compress(Math.abs(maps[at])),
  "l2, relu": (maps, at, size) => Math.sqrt(meanSquare(maps, at, size) + L2_STABILISER),
  "l2, log-square": (maps, at, size) => compress(meanSquare(maps, at, size)),
  "max, relu": (maps, at, size) => maps.subarray(at, at + size).reduce((most, value) => Math.max(most, value)),
};

// The function that gives the probabilities of all tags for the window of 16-bit `samples` that begins at `begin`; of what
// theanoish/tagging/app.py wrote into the page: `sizes` by name, and `bytes` of the values one behind the other.
function makeNetwork({ settings, sizes, bytes }) {
  const values = {};
  Object.entries(sizes).reduce((at, [name, size]) => {
    values[name] = new Float32Array(bytes.buffer, at, size);
    return at + 4 * size;
  }, 0);
  const filters = values["convolution1/filters"], units = values["convolution1/bias"].length;
  const centre = values["start/centre"], channels = centre.length, spread = values["start/spread"][0];
  const frames = Math.floor((WINDOW_SAMPLES - settings.length) / settings.stride) + 1;
  const frontEnd = settings.frontend === "mel" ? melFrontEnd(settings, frames) : rawFrontEnd(settings, values, frames);
  // what makes of maps h, which are (h - centre) / spread, numbers of size one
  const onSizeOne = filters.map((filter) => filter / spread);
  const bias = values["convolution1/bias"].map(
    (value, unit) => value - onSizeOne.subarray(unit * WIDTH * channels, (unit + 1) * WIDTH * channels)
      .reduce((sum, filter, i) => sum + filter * centre[i % channels], 0));

  return (samples, begin) => {
    let maps = frontEnd(samples, begin), time = frames - WIDTH + 1;
    maps = rectifiedMaxPool(products(maps, channels, time, onSizeOne, units), bias, time);
    time = Math.ceil(time / POOL) - WIDTH + 1;
    maps = rectifiedMaxPool(products(maps, units, time, values["convolution2/filters"], units), values["convolution2/bias"], time);
    const hidden = products(maps, 0, 1, values["hidden/weights"], HIDDEN_UNITS, values["hidden/bias"]).map((x) => Math.max(0, x));
    const tags = values["output/bias"].length;
    return products(hidden, 0, 1, values["output/weights"], tags, values["output/bias"]).map((x) => 1 / (1 + Math.exp(-x)));
  };
}

function rawFrontEnd(settings, values, frames) {
  const filters = values["strided/filters"], bias = values["strided/bias"];
  const size = settings.pool_size, after = AFTER_STRIDED[`${settings.pooling}, ${settings.nonlinearity}`];
  const scale = 1 / FULL_SCALE / values["start/loudness"][0];
  const signal = new Float32Array(WINDOW_SAMPLES), output = new Float32Array((frames * bias.length) / size);
  return (samples, begin) => {
    for (let i = 0; i < signal.length; i++) signal[i] = samples[begin + i] * scale;
    const maps = products(signal, settings.stride, frames, filters, bias.length, bias);
    for (let i = 0; i < output.length; i++) output[i] = after(maps, i * size, size);
    return output;
  };
}

// `rows` rows of `signal`, `step` apart, times each of `units` filters: (rows × units). Sixteen sums at a time, so that a
// number is read once for four products; tiles at the edges compute their last row or filter again.
function products(signal, step, rows, filters, units, bias) {
  const length = filters.length / units, output = new Float32Array(rows * units);
  for (let row = 0; row < rows; row += 4) {
    const r1 = Math.min(row + 1, rows - 1), r2 = Math.min(row + 2, rows - 1), r3 = Math.min(row + 3, rows - 1);
    const a0 = row * step, a1 = r1 * step, a2 = r2 * step, a3 = r3 * step;
    for (let unit = 0; unit < units; unit += 4) {
      const u1 = Math.min(unit + 1, units - 1), u2 = Math.min(unit + 2, units - 1), u3 = Math.min(unit + 3, units - 1);
      const b0 = unit * length, b1 = u1 * length, b2 = u2 * length, b3 = u3 * length;
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
      for (let i = 0; i < length; i++) {
        const x0 = signal[a0 + i], x1 = signal[a1 + i], x2 = signal[a2 + i], x3 = signal[a3 + i];
        const y0 = filters[b0 + i], y1 = filters[b1 + i], y2 = filters[b2 + i], y3 = filters[b3 + i];
        s00 += x0 * y0; s01 += x0 * y1; s02 += x0 * y2; s03 += x0 * y3;
        s10 += x1 * y0; s11 += x1 * y1; s12 += x1 * y2; s13 += x1 * y3;
        s20 += x2 * y0; s21 += x2 * y1; s22 += x2 * y2; s23 += x2 * y3;
        s30 += x3 * y0; s31 += x3 * y1; s32 += x3 * y2; s33 += x3 * y3;
      }
      const o0 = row * units, o1 = r1 * units, o2 = r2 * units, o3 = r3 * units;
      output[o0 + unit] = s00; output[o0 + u1] = s01; output[o0 + u2] = s02; output[o0 + u3] = s03;
      output[o1 + unit] = s10; output[o1 + u1] = s11; output[o1 + u2] = s12; output[o1 + u3] = s13;
      output[o2 + unit] = s20; output[o2 + u1] = s21; output[o2 + u2] = s22; output[o2 + u3] = s23;
      output[o3 + unit] = s30; output[o3 + u1] = s31; output[o3 + u2] = s32; output[o3 + u3] = s33;
    }
  }
  if (bias) for (let i = 0; i < output.length; i++) output[i] += bias[i % units];
  return output;
}

// The maximum of each four neighbouring times, the last perhaps of fewer, the bias and the rectifier.
function rectifiedMaxPool(maps, bias, time) {
  const units = bias.length, output = new Float32Array(Math.ceil(time / POOL) * units).fill(-Infinity);
  for (let t = 0, i = 0; t < time; t++)
    for (let unit = 0, at = Math.floor(t / POOL) * units; unit < units; unit++, i++, at++) output[at] = Math.max(output[at], maps[i]);
  return output.map((highest, i) => Math.max(0, highest + bias[i % units]));
}

// The log-mel spectrogram (theanoish/data/mel.py); `mel_bands` fewer than its own are means of adjacent ones.
function melFrontEnd({ length, stride, mel_bands: bands }, frames) {
  const points = Math.max(SHORTEST_FFT, length), powerSpectra = makePowerSpectra(points, length), filters = melFilters(points);
  const hann = Float32Array.from({ length }, (_, i) => (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length)) / FULL_SCALE);
  const output = new Float32Array(frames * bands), size = MEL_CHANNELS / bands;
  const two = [new Float64Array(points), new Float64Array(points)];
  return (samples, begin) => {
    const first = begin - (begin % stride); // the frame of the song that the window begins in
    for (let frame = 0; frame < frames; frame += 2) {
      const pair = [frame, Math.min(frame + 1, frames - 1)];
      pair.forEach((number, side) => {
        for (let i = 0, at = first + number * stride; i < length; i++) two[side][i] = hann[i] * samples[at + i];
      });
      powerSpectra(...two).forEach((power, side) => {
        for (let band = 0; band < bands; band++) {
          let energy = 0;
          for (let filter = band * size; filter < (band + 1) * size; filter++) {
            const { low, weights } = filters[filter];
            for (let i = 0; i < weights.length; i++) energy += weights[i] * power[low + i];
          }
          output[pair[side] * bands + band] = compress(energy / size);
        }
      });
    }
    return output;
  };
}

// Power spectra of two real frames, zero from `length` on, by one complex transform, decimated in time; an odd number of points as it
// is defined.
function makePowerSpectra(points, length) {
  const cosines = Float64Array.from({ length: points }, (_, i) => Math.cos((2 * Math.PI * i) / points));
  const sines = Float64Array.from({ length: points }, (_, i) => -Math.sin((2 * Math.PI * i) / points));
  const re = new Float64Array(points), im = new Float64Array(points), half = points >> 1;
  const powers = [new Float64Array(half + 1), new Float64Array(half + 1)];
  function transform(a, b, first, step, count, at) {
    if (count === 1 || step >= length) {
      for (let k = at; k < at + count; k++) {
        re[k] = a[first];
        im[k] = b[first];
      }
    } else if (count % 2) {
      for (let k = 0; k < count; k++) {
        re[at + k] = im[at + k] = 0;
        for (let i = 0; i < count; i++) {
          const turn = (i * k * step) % points, x = a[first + i * step], y = b[first + i * step];
          re[at + k] += x * cosines[turn] - y * sines[turn];
          im[at + k] += x * sines[turn] + y * cosines[turn];
        }
      }
    } else {
      const middle = count >> 1;
      transform(a, b, first, step * 2, middle, at);
      transform(a, b, first + step, step * 2, middle, at + middle);
      for (let k = at, turn = 0; k < at + middle; k++, turn += step) {
        const c = cosines[turn], s = sines[turn], x = re[k + middle], y = im[k + middle], u = x * c - y * s, v = x * s + y * c;
        re[k + middle] = re[k] - u;
        im[k + middle] = im[k] - v;
        re[k] += u;
        im[k] += v;
      }
    }
  }
  return (a, b) => {
    transform(a, b, 0, 1, points, 0);
    for (let k = 0; k <= half; k++) {
      const other = k ? points - k : 0;
      powers[0][k] = ((re[k] + re[other]) ** 2 + (im[k] - im[other]) ** 2) / 4;
      powers[1][k] = ((im[k] + im[other]) ** 2 + (re[other] - re[k]) ** 2) / 4;
    }
    return powers;
  };
}

// Slaney's triangles of unit area (theanoish/mel_scale.py), each from its first bin above zero on.
function melFilters(points) {
  const toHz = (mel) => (mel < 15 ? (mel * 200) / 3 : 1000 * 6.4 ** ((mel - 15) / 27));
  const highest = 15 + (27 * Math.log(SAMPLE_RATE / 2000)) / Math.log(6.4);
  const edge = (i) => toHz((i * highest) / (MEL_CHANNELS + 1));
  return Array.from({ length: MEL_CHANNELS }, (_, band) => {
    const [low, centre, high] = [edge(band), edge(band + 1), edge(band + 2)], bin = SAMPLE_RATE / points;
    const first = Math.floor(low / bin) + 1, count = Math.max(0, Math.ceil(high / bin) - first);
    const weights = Float64Array.from({ length: count }, (_, i) => {
      const hz = (first + i) * bin;
      return (Math.min((hz - low) / (centre - low), (high - hz) / (high - centre)) * 2) / (high - low);
    });
    return { low: first, weights };
  });
}

// Where the windows of a song begin (theanoish/tagging/songs.py): every 3 s, and a last one that ends with the song.
function windowBegins(samples) {
  const last = Math.max(0, samples - WINDOW_SAMPLES), begins = [];
  for (let begin = 0; begin < last; begin += WINDOW_SAMPLES) begins.push(begin);
  return [...begins, last];
}
