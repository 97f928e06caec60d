// A small drawing of what each Action Unit does: grey is the face, colour is what moves and where to.

const EYES = '<ellipse class="face" cx="13" cy="32" rx="7" ry="3.4"/><ellipse class="face" cx="35" cy="32" rx="7" ry="3.4"/>';
const BROWS = '<path class="move" d="M5 25Q12 18 21 23M27 23Q36 18 43 25"/>';
const NOSE = '<path class="face" d="M21 8L18 30Q24 36 30 30L27 8"/>';
const LIPS = "M9 24Q24 20 39 24";

function arrow(x1, y1, x2, y2) {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const [a, b] = [angle + 2.6, angle - 2.6].map(
    (t) => `${(x2 + 4.2 * Math.cos(t)).toFixed(1)} ${(y2 + 4.2 * Math.sin(t)).toFixed(1)}`,
  );
  return `<path class="arrow" d="M${x1} ${y1}L${x2} ${y2}M${a}L${x2} ${y2}L${b}"/>`;
}

const DRAWINGS = {
  AU1: EYES + BROWS + arrow(20, 17, 20, 6) + arrow(28, 17, 28, 6),
  AU2: EYES + BROWS + arrow(8, 17, 6, 6) + arrow(40, 17, 42, 6),
  AU4: EYES + BROWS + arrow(13, 8, 19, 17) + arrow(35, 8, 29, 17) + '<path class="face" d="M23 12v7M25.5 12v7"/>',
  AU5: '<path class="face" d="M4 27Q13 36 21 27M27 27Q35 36 44 27"/><circle class="dot" cx="12.5" cy="26" r="3"/><circle class="dot" cx="35.5" cy="26" r="3"/><path class="move" d="M4 27Q12 16 21 27M27 27Q36 16 44 27"/>' + arrow(12.5, 17, 12.5, 6) + arrow(35.5, 17, 35.5, 6),
  AU6: '<path class="face" d="M4 18Q12 11 21 18Q12 23 4 18M27 18Q36 11 44 18Q36 23 27 18"/><path class="move" d="M4 28Q13 20 21 27M27 27Q35 20 44 28"/>' + arrow(12, 41, 12, 30) + arrow(36, 41, 36, 30),
  AU9: NOSE + '<path class="move" d="M19 16h10M18.5 20h11"/>' + arrow(12, 32, 15, 18) + arrow(36, 32, 33, 18),
  AU12: '<path class="move" d="M10 24Q24 40 38 24"/>' + arrow(9, 20, 4, 10) + arrow(39, 20, 44, 10),
  AU15: '<path class="move" d="M10 28Q24 16 38 28"/>' + arrow(9, 31, 5, 41) + arrow(39, 31, 43, 41),
  AU17: `<path class="face" d="${LIPS}"/><path class="move" d="M15 31Q24 25 33 31"/><path class="face" d="M12 34Q24 48 36 34"/>` + arrow(24, 42, 24, 32),
  AU20: '<path class="move" d="M13 24Q24 22 35 24Q24 27 13 24"/>' + arrow(10, 24, 2, 25) + arrow(38, 24, 46, 25),
  AU25: '<path class="move" d="M9 22Q24 14 39 22M9 25Q24 35 39 25"/>' + arrow(24, 15, 24, 7) + arrow(24, 33, 24, 42),
  AU26: '<ellipse class="move" cx="24" cy="19" rx="11" ry="10"/><path class="face" d="M8 22Q12 44 24 44Q36 44 40 22"/>' + arrow(24, 31, 24, 41),
};

export function drawing(code) {
  return `<svg viewBox="0 0 48 48" class="drawing" aria-hidden="true" focusable="false">${DRAWINGS[code]}</svg>`;
}
