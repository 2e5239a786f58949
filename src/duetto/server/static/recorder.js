// AudioWorklet: what the microphone gives, as 16-bit frames of 2048 samples, 128 ms at 16 kHz.
class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(2048);
    this.at = 0;
    this.port.onmessage = () => { this.post(); this.port.postMessage(null); };
  }

  post() {
    if (this.at) {
      const part = this.frame.slice(0, this.at);
      this.port.postMessage(part.buffer, [part.buffer]);
      this.at = 0;
    }
  }

  process(inputs) {
    const channel = inputs[0][0];
    if (!channel) return true;
    for (let i = 0; i < channel.length; i++) {
      this.frame[this.at++] = Math.max(-32768, Math.min(32767, Math.round(channel[i] * 32768)));
      if (this.at === this.frame.length) this.post();
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
