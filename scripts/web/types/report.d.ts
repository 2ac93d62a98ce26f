// Made by `python -m scripts.web.shapes` from the models in Python: change those.

declare namespace Report {
  interface Channel {
    t_s: number[];
    values: (number | null)[];
    statistics: Statistics | null;
    limit: number | null;
    thinned: boolean;
  }

  interface Component {
    key: string;
    name: string;
    unit: string;
    primary: boolean;
    zero_based: boolean;
    most: number | null;
    source: string;
  }

  interface Condition {
    name: string;
    values: string[];
    differs: boolean;
  }

  interface Configuration {
    id: number;
    run: string;
    host: string;
    title: string;
    subtitle: string;
    name: string;
    verdict: string | null;
    problem: string | null;
    jobs: number;
    reasons: Reason[];
    not_checkable: Record<string, string>;
    figures: Figures;
    times_slower: number | null;
    energy_source: string | null;
    unsupported: Record<string, string>;
    histogram: Histogram | null;
    windows: JobWindows[];
    conditions: Record<string, string>;
    selection: string[];
  }

  interface Figures {
    load_ms: number | null;
    first_inference_ms: number | null;
    p50_ms: number | null;
    interval_ms: [number, number] | null;
    p5_ms: number | null;
    p90_ms: number | null;
    p95_ms: number | null;
    p99_ms: number | null;
    max_ms: number | null;
    fps: number | null;
    energy_mj: number | null;
    temperature_max_celsius: number | null;
  }

  interface Histogram {
    edges_ms: number[];
    counts: number[];
    beyond: number;
    samples: number;
    scatter: number | null;
  }

  interface JobWindows {
    repeat: number;
    windows: WindowRow[];
  }

  interface Layer {
    number: number;
    name: string;
    executed_as: string;
    operator: number | null;
    kind: string | null;
    output: string | null;
    shape: string;
    mean_us: number;
    std_us: number | null;
    p50_us: number;
    share: number;
    macs: number | null;
    parameters: number | null;
    activation_bytes: number | null;
    gflops: number | null;
  }

  interface LayerCell {
    mean_us: number;
    share: number;
    executed_as: string;
  }

  interface LayerComparison {
    first: number;
    second: number;
    same_model: boolean;
    lines: LayerLine[];
  }

  interface LayerLine {
    number: number | null;
    name: string;
    shape: string;
    cells: [LayerCell | null, LayerCell | null];
  }

  interface Notice {
    level: string;
    title: string;
    text: string;
  }

  interface Profile {
    id: number;
    name: string;
    host: string | null;
    model: string;
    model_digest: string;
    method: string;
    method_detail: string | null;
    description: string;
    verdict: string;
    reasons: Reason[];
    iterations: number;
    mean_ms: number | null;
    plain_p50_ms: number | null;
    explained: number | null;
    unattributed_us: number | null;
    facts: Record<string, string>;
    layers: Layer[];
  }

  interface Program {
    id: number;
    name: string;
    host: string;
    command: string;
    exit_code: number | null;
    duration_s: number | null;
    cpu_s: number | null;
    memory_max_mib: number | null;
    verdict: string | null;
    reasons: Reason[];
    problem: string | null;
  }

  interface Reason {
    code: string;
    verdict: string;
    detail: string;
  }

  interface ReportData {
    schema_version: number;
    edgerun_version: string;
    generated_at: string;
    title: string;
    summary: string;
    headline: string;
    headline_rest: string;
    statements: string[];
    notices: Notice[];
    configurations: Configuration[];
    programs: Program[];
    conditions: Condition[];
    components: Component[];
    recordings: ShownRecording[];
    profiles: Profile[];
    layer_comparisons: LayerComparison[];
    thinning: string | null;
  }

  interface ShownRecording {
    id: number;
    owner: number;
    title: string;
    subtitle: string;
    repeat: number;
    started_at: string;
    interval_s: number;
    end_s: number;
    samples: number;
    missed: number;
    late_s_max: number;
    phases: Span[];
    throttled: Span[];
    throttle_watched: string[];
    channels: Record<string, Channel>;
    unavailable: Record<string, string>;
  }

  interface Span {
    name: string;
    start_s: number;
    end_s: number;
  }

  interface Statistics {
    median: number;
    p95: number;
    min: number;
    max: number;
  }

  interface WindowRow {
    start_s: number;
    end_s: number;
    fps: number;
    p50_ms: number;
    max_ms: number;
  }
}
