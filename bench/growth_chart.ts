/**
 * Draws curves as a picture in SVG.
 *
 * @module
 */

/** Curves over the same steps. */
export interface Chart {
  readonly title: string;
  /** What the points are multiples of. */
  readonly unit: string;
  readonly steps: readonly number[];
  readonly lines: readonly {
    readonly name: string;
    /** A multiple of the unit, for each step. */
    readonly points: readonly number[];
  }[];
}

const WIDTH = 380;
const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 40;
const TOP = 28;
const RIGHT = 28;
const COLORS = ["#0b7285", "#c2255c", "#5f8a00"];

/** Draws charts, two in a row. Steps are spaced evenly. */
export function drawCharts(charts: readonly Chart[]): string {
  const rows = Math.ceil(charts.length / 2);
  const drawn = charts.map((chart, n) => {
    const [x, y] = [(n % 2) * WIDTH, Math.floor(n / 2) * HEIGHT];
    return `<g transform="translate(${x} ${y})">${draw(chart)}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH * 2} ${HEIGHT * rows}" ` +
    `font-family="system-ui, sans-serif" font-size="11" role="img" aria-label="${
      escaped(labelOf(charts))
    }">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...drawn,
    "</svg>",
    "",
  ].join("\n");
}

function labelOf(charts: readonly Chart[]): string {
  return `Time of a call by ${charts.map(({ title }) => title).join("; by ")}`;
}

function draw({ title, unit, steps, lines }: Chart): string {
  const most = Math.max(1.5, ...lines.flatMap(({ points }) => points)) * 1.1;
  const x = (step: number) => LEFT + step * (WIDTH - LEFT - RIGHT) / Math.max(1, steps.length - 1);
  const y = (value: number) => HEIGHT - BOTTOM - value / most * (HEIGHT - BOTTOM - TOP);
  const parts = [
    `<text x="${LEFT}" y="16" font-weight="600">Time of a call by ${escaped(title)}</text>`,
    `<text x="${WIDTH - RIGHT}" y="${HEIGHT - 8}" text-anchor="end">× ${escaped(unit)}</text>`,
  ];
  const distance = most > 4 ? 1 : 0.5;
  for (let value = 0; value < most; value += distance) {
    const at = y(value).toFixed(1);
    parts.push(
      `<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="#e3e3e3"/>`,
      `<text x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">× ${value}</text>`,
    );
  }
  for (const [n, step] of steps.entries()) {
    parts.push(
      `<text x="${x(n).toFixed(1)}" y="${HEIGHT - BOTTOM + 14}" text-anchor="middle">${
        step.toLocaleString("en")
      }</text>`,
    );
  }
  for (const [i, { name, points }] of lines.entries()) {
    const color = COLORS[i % COLORS.length];
    const path = points.map((value, n) => `${x(n).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    parts.push(
      `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2"/>`,
      `<text x="${LEFT + i * 60}" y="${HEIGHT - 8}" fill="${color}">${escaped(name)}</text>`,
    );
  }
  return parts.join("");
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);
}
