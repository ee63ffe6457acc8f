// Behind network.js and resample.js in a worker: a model first, then songs as mono samples at their own rate.
let tag, columns;
onmessage = ({ data }) => {
  if (data.model) {
    tag = readNetwork(data.model);
    columns = data.model.columns;
    return;
  }
  const samples = to16Bits(resampled(data.mono, data.rate)), begins = windowBegins(samples.length);
  const padded = new Int16Array(Math.max(samples.length, WINDOW_SAMPLES));
  padded.set(samples);
  const windows = begins.map((begin, done) => {
    const probabilities = tag(padded, begin);
    postMessage({ share: (done + 1) / begins.length });
    return columns.map((column) => probabilities[column]);
  });
  postMessage({ samples, windows, begins: begins.map((begin) => begin / SAMPLE_RATE) }, [samples.buffer]);
};
