// The picture follows the sliders: small while they move, larger when they rest.

import { blobOf, picture } from "./ask.js";

const REST_MS = 120;

export class Preview {
  // state(): {au, paste}. failed(error) tells the visitor. settled() after each picture at rest.
  constructor({ after, before, overlays, sizes, state, failed, settled }) {
    Object.assign(this, { after, before, overlays, state, failed, settled });
    [this.small, this.large] = sizes;
    this.busy = false;
    this.next = null;
    this.timer = 0;
    this.count = 0; // pictures shown
  }

  moving() {
    this.after.dataset.state = "moving"; // "rest" again once the sliders are shown at full size
    this.ask(this.small);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.rest(), REST_MS);
  }

  // Small pictures only, until `rest`: something else than a hand moves the sliders.
  follow(move) {
    clearTimeout(this.timer);
    this.timer = 0;
    this.after.dataset.state = "moving";
    move();
    this.ask(this.small);
  }

  rest() {
    this.after.dataset.state = "moving";
    clearTimeout(this.timer);
    this.timer = 0;
    this.ask(this.large);
  }

  async ask(size) {
    if (this.busy) {
      this.next = size; // only the newest wish counts
      return;
    }
    this.busy = true;
    try {
      const { au, paste } = this.state();
      const blob = await picture("/api/preview", { au, paste, size });
      if (blob) await this.show(this.after, blob);
      else this.next ??= size; // another tab of this visitor was faster: once more
      this.count += 1;
      this.after.dataset.count = this.count;
      this.after.dataset.size = size;
    } catch (error) {
      this.failed(error);
    } finally {
      this.busy = false;
    }
    if (this.next !== null) {
      const wanted = this.next;
      this.next = null;
      await this.ask(wanted);
    } else if (size === this.large && !this.timer) {
      this.after.dataset.state = "rest";
      this.settled();
    }
  }

  async show(image, blob) {
    const old = image.src;
    const made = URL.createObjectURL(blob);
    image.src = made;
    await image.decode().catch(() => {});
    if (old.startsWith("blob:")) URL.revokeObjectURL(old);
  }

  async showBefore() {
    try {
      const { paste } = this.state();
      const wanted = { au: {}, paste, size: this.large, before: true };
      await this.show(this.before, await picture("/api/preview", wanted));
    } catch (error) {
      this.failed(error);
    }
  }

  compare(percent) {
    this.before.style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
  }

  // The regions of influence of some zones, laid over the picture.
  async showRegions(zones, serial) {
    this.overlays.replaceChildren();
    for (const zone of zones) {
      const image = new Image();
      image.alt = "";
      this.overlays.append(image);
      try {
        await this.show(image, await blobOf(`/api/region/${zone}?of=${serial}`));
      } catch (error) {
        this.failed(error);
        return;
      }
    }
  }
}
