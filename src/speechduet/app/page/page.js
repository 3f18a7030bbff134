// The elements of the page that are not Gradio's.

const clock = (seconds) => {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

// One sound file has the noisy recording in its left channel and the enhanced speech in its right
// one. All that can be heard is a weighted sum of the two, so nothing ever has to be in step.
class SpeechResult extends HTMLElement {
  connectedCallback() {
    if (this.sound) return;
    this.duration = Number(this.dataset.duration);
    this.sound = new Audio(`${this.dataset.folder}sound.flac`);
    this.sound.preload = "auto";
    this.play = this.querySelector(".sd-play");
    this.position = this.querySelector(".sd-position");
    this.strength = this.querySelector(".sd-strength input");
    this.play.addEventListener("click", () => this.toggle());
    this.position.addEventListener("input", () => this.seek(Number(this.position.value)));
    this.strength.addEventListener("input", () => this.weigh());
    for (const radio of this.querySelectorAll(".sd-versions input"))
      radio.addEventListener("change", () => this.weigh());
    for (const picture of this.querySelectorAll(".sd-picture"))
      picture.addEventListener("pointerdown", (event) => {
        const frame = picture.getBoundingClientRect();
        this.seek(((event.clientX - frame.left) / frame.width) * this.duration);
      });
    const unsure = this.querySelector(".sd-unsure input");
    unsure?.addEventListener("change", () =>
      this.querySelector(".sd-overlay").classList.toggle("sd-shown", unsure.checked));
    for (const event of ["play", "pause", "ended"])
      this.sound.addEventListener(event, () => this.show());
    for (const event of ["timeupdate", "seeked"])
      this.sound.addEventListener(event, () => this.place());
    this.sound.addEventListener("error", () => this.tell());
    this.weigh();
    this.place();
  }

  disconnectedCallback() {
    // Gradio may move an element, which is then connected again at once.
    setTimeout(() => {
      if (this.isConnected) return;
      this.sound.pause();
      this.sound.removeAttribute("src");
      this.context?.close();
    });
  }

  get version() {
    return this.querySelector(".sd-versions input:checked").value;
  }

  // Weights of the noisy recording and of the enhanced speech in what is heard.
  get weights() {
    const strength = Number(this.strength.value) / 100;
    return {
      noisy: [1, 0],
      enhanced: [1 - strength, strength],
      removed: [strength, -strength],
    }[this.version];
  }

  async toggle() {
    // A browser allows sound only once the user has asked for it.
    if (!this.context) this.connect();
    if (!this.sound.paused) return this.sound.pause();
    await this.context.resume();
    try {
      await this.sound.play();
    } catch {
      this.tell();
    }
  }

  connect() {
    this.context = new AudioContext();
    const splitter = this.context.createChannelSplitter(2);
    this.context.createMediaElementSource(this.sound).connect(splitter);
    this.gains = [0, 1].map((channel) => {
      const gain = this.context.createGain();
      gain.gain.value = this.weights[channel];
      splitter.connect(gain, channel);
      gain.connect(this.context.destination);
      return gain;
    });
  }

  weigh() {
    const percent = this.strength.value;
    this.querySelector(".sd-percent").textContent = `${percent} %`;
    this.strength.setAttribute("aria-valuetext", `${percent} percent`);
    this.querySelector(".sd-download").href =
      `${this.dataset.folder}download?strength=${percent / 100}`;
    for (const figure of this.querySelectorAll("figure"))
      figure.classList.toggle("sd-heard", figure.dataset.version === this.version);
    // Not at once, which would click.
    this.gains?.forEach((gain, channel) =>
      gain.gain.setTargetAtTime(this.weights[channel], this.context.currentTime, 0.01));
  }

  seek(seconds) {
    this.sound.currentTime = Math.min(Math.max(seconds, 0), this.duration);
    this.place();
  }

  place() {
    const now = this.sound.currentTime;
    this.position.value = now;
    this.position.setAttribute("aria-valuetext", `${clock(now)} of ${clock(this.duration)}`);
    this.querySelector(".sd-time").textContent = `${clock(now)} / ${clock(this.duration)}`;
    this.style.setProperty("--sd-place", now / Math.max(this.duration, 0.001));
  }

  show() {
    const playing = !this.sound.paused && !this.sound.ended;
    this.play.classList.toggle("sd-playing", playing);
    this.play.setAttribute("aria-label", playing ? "Pause" : "Play");
    // Sound reports its place four times a second, which would be seen.
    const follow = () => {
      this.place();
      if (!this.sound.paused) requestAnimationFrame(follow);
    };
    if (playing) requestAnimationFrame(follow);
  }

  tell() {
    const message = this.querySelector(".sd-message");
    message.textContent =
      `The sound cannot be loaded. Recordings are deleted after ${this.dataset.kept}: ` +
      "if it is gone, enhance it again.";
    message.hidden = false;
  }
}

// Of all reverse steps, the pictures of one.
class ReverseSteps extends HTMLElement {
  connectedCallback() {
    this.slider = this.querySelector("input");
    this.slider.addEventListener("input", () => this.show());
    this.show();
  }

  show() {
    const steps = this.querySelectorAll(".sd-step");
    steps.forEach((step, index) => (step.hidden = index !== Number(this.slider.value) - 1));
    const title = steps[this.slider.value - 1].dataset.title;
    this.querySelector("output").textContent = title;
    this.slider.setAttribute("aria-valuetext", title);
  }
}

customElements.define("speech-result", SpeechResult);
customElements.define("reverse-steps", ReverseSteps);
