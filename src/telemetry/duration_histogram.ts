/**
 * Keeps a histogram of durations, in a form that is quick to add to and that `prom-client` writes. Its own
 * histogram sorts and joins all labels at each observation, which takes longer than everything else here.
 *
 * @module
 */
import { DURATION_BUCKETS, type DurationMetric, OTHER } from "./conventions.ts";
import type { Attributes } from "./operation.ts";
import { histogramName, labelsOf } from "./prometheus.ts";
import type { SeriesCap } from "./series_cap.ts";

/** One value of a metric, as `prom-client` writes it. */
interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** The durations that have the same labels. */
interface Series {
  readonly labels: Attributes;
  /** How many were in each bucket, and above all of them. */
  readonly counts: number[];
  sum: number;
}

/** A histogram of durations, which a registry of `prom-client` can have. */
export class DurationHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = "histogram";
  readonly aggregator = "sum";
  readonly #series = new Map<string, Series>();
  readonly #cap: SeriesCap;

  constructor(metric: DurationMetric, cap: SeriesCap) {
    this.#cap = cap;
    this.name = histogramName(metric);
    this.help = metric.description;
  }

  /**
   * Adds a duration.
   *
   * @param key Identifies the labels: the same for the same labels
   * @param attributes Returns the attributes, when the key is new
   */
  observe(key: string, seconds: number, attributes: () => Attributes): void {
    let series = this.#series.get(key);
    if (series === undefined) {
      const isOwn = this.#cap.admits(key);
      const name = isOwn ? key : OTHER;
      const counts = Array.from({ length: DURATION_BUCKETS.length + 1 }, () => 0);
      const labels = Object.entries(labelsOf(attributes()));
      series = this.#series.get(name) ?? {
        labels: Object.fromEntries(isOwn ? labels : labels.map(([label]) => [label, OTHER])),
        counts,
        sum: 0,
      };
      this.#series.set(name, series);
    }
    let bucket = 0;
    while (seconds > (DURATION_BUCKETS[bucket] ?? Infinity)) bucket++;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += seconds;
  }

  /** Returns everything: called at each scrape. */
  get(): {
    readonly name: string;
    readonly help: string;
    readonly type: string;
    readonly aggregator: string;
    readonly values: readonly Sample[];
  } {
    const { name, help, type, aggregator } = this;
    const values = [...this.#series.values()].flatMap((series) => samplesOf(name, series));
    return { name, help, type, aggregator, values };
  }

  /** Forgets everything: called by a registry's `resetMetrics()`. */
  reset(): void {
    this.#series.clear();
    this.#cap.clear();
  }
}

function samplesOf(name: string, { labels, counts, sum }: Series): Sample[] {
  let total = 0;
  const buckets = counts.map((count, i): Sample => {
    total += count;
    const le = DURATION_BUCKETS[i] ?? "+Inf";
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ];
}
