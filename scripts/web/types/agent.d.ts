// Made by `python -m scripts.web.shapes` from the models in Python: change those.

declare namespace Agent {
  interface Access {
    token: string | null;
    scopes: Scope[];
    expires_at: string | null;
    agent_version: string;
    features: string[];
  }

  interface AgentBuild {
    version: string;
    python: string;
    api_versions: string[];
    features: string[];
    started_at: string;
    uptime_s: number;
  }

  interface AgentInfo {
    agent: AgentBuild;
    device: DeviceInfo;
    allowed: AllowedResources;
    runtimes: RuntimeInfo[];
    workers: number;
    threads: number | null;
    default_model: string;
    notes: string[];
    limits: Limits;
    security: SecurityInfo;
  }

  interface AllowedResources {
    cpus: number;
    cpus_source: string;
    memory_bytes: number | null;
    memory_source: string;
  }

  interface ArtifactInfo {
    path: string;
    size_bytes: number;
  }

  type BatchMode = "native" | "patched" | "loop";

  interface BenchmarkRequest {
    name: string | null;
    priority: number;
    timeout_s: number;
    telemetry_interval_s: number;
    after_restart: "interrupt" | "requeue";
    kind: "benchmark";
    spec: BenchmarkSpec;
  }

  interface BenchmarkResult {
    kind: "benchmark";
    schema_version: number;
    complete: boolean;
    spec: BenchmarkSpec;
    model: string;
    model_digest: string;
    runtime: string;
    runtime_version: string;
    device: string;
    selection: Selection | null;
    precision: string | null;
    loaded_from_cache: boolean | null;
    delegate: string | null;
    threads: number;
    streams: number;
    batch: number;
    batch_mode: BatchMode;
    batch_detail: string | null;
    load_ms: number;
    first_inference_ms: number;
    first_inference_latency_ms: number;
    warm_up_ms: number[];
    iterations: number;
    frames: number;
    duration_s: number;
    fps: number | null;
    latency: LatencySummary | null;
    samples_ms: number[];
    windows: Window[];
    predictions: Prediction[];
    probe: Probe | null;
    conditions: Conditions;
    validity: Validity;
  }

  interface BenchmarkSpec {
    model: string | null;
    runtime: string | null;
    device: string;
    precision: Precision | null;
    model_cache: boolean;
    hint: Hint | null;
    threads: number | null;
    streams: number | null;
    batch: number;
    iterations: number | null;
    duration_s: number | null;
    warm_up_iterations: number;
    window_s: number;
    cooldown_s: number;
    input: RandomInput | ImageInput;
  }

  interface Box {
    left: number;
    top: number;
    right: number;
    bottom: number;
  }

  type BoxCoordinates = "pixels" | "normalised";

  type CheckCode =
    | "throttle_flag"
    | "under_voltage"
    | "cooling_active"
    | "clock_drop"
    | "probe_slow"
    | "cpu_quota"
    | "drift"
    | "noisy"
    | "contention"
    | "hot_start"
    | "sampler_gap";

  interface ClassifyReply {
    request_id: string;
    model: ModelRef;
    runtime: RuntimeUsed;
    predictions: Prediction[];
    scores: "softmax" | "model";
    image: ImageInfo;
    timing_ms: StageTimes;
  }

  interface CommandRequest {
    name: string | null;
    priority: number;
    timeout_s: number;
    telemetry_interval_s: number;
    after_restart: "interrupt" | "requeue";
    kind: "command";
    spec: CommandSpec;
  }

  interface CommandResult {
    kind: "command";
    schema_version: number;
    complete: boolean;
    spec: CommandSpec;
    exit_code: number | null;
    signal: string | null;
    duration_s: number;
    cpu_s: number | null;
    max_resident_bytes: number | null;
    left_running: number;
    stdout_bytes: number;
    stderr_bytes: number;
    artifacts: ArtifactInfo[];
    artifacts_left_out: string[];
    probe: Probe | null;
    conditions: Conditions;
    validity: Validity;
  }

  interface CommandSpec {
    argv: string[];
    env: Record<string, string>;
    bundle: string | null;
  }

  interface Conditions {
    device_name: string;
    device_type: string | null;
    machine: string;
    cpu_model: string | null;
    kernel: string;
    python: string;
    agent_version: string;
    agent_revision: string | null;
    cpus_allowed: number;
    memory_allowed_bytes: number | null;
    governor: string | null;
    load_average_before: number | null;
    cpu_temperature_before_celsius: number | null;
    cpu_temperature_after_celsius: number | null;
  }

  interface DamagedModel {
    name: string;
    reason: string;
  }

  interface DetectReply {
    request_id: string;
    model: ModelRef;
    runtime: RuntimeUsed;
    detections: Detection[];
    image: ImageInfo;
    timing_ms: StageTimes;
  }

  interface Detection {
    index: number;
    label: string | null;
    score: number;
    box_px: Box;
  }

  type DetectionForm = "tflite_postprocess" | "detection_output" | "yolo_v5" | "yolo_v8";

  interface DetectionReading {
    form: DetectionForm | null;
    coordinates: BoxCoordinates | null;
  }

  interface DeviceEvent {
    at_s: number;
    step: DeviceStep;
    runtime: string;
    device: string;
    detail: string | null;
  }

  interface DeviceInfo {
    name: string;
    type: string | null;
    machine: string;
    cpu_model: string | null;
    cpu_count: number;
    memory_bytes: number | null;
  }

  type DeviceStep = "started" | "compiling" | "handed_over" | "rejected" | "lost";

  type ErrorCode =
    | "invalid_request"
    | "not_found"
    | "method_not_allowed"
    | "unauthorized"
    | "too_many_attempts"
    | "forbidden_origin"
    | "session_code_refused"
    | "scope_missing"
    | "unknown_token"
    | "token_exists"
    | "tokens_full"
    | "tokens_not_used"
    | "last_admin"
    | "empty_body"
    | "too_many_bytes"
    | "too_many_pixels"
    | "too_many_images"
    | "not_an_image"
    | "truncated_image"
    | "unknown_model"
    | "unknown_blob"
    | "wrong_digest"
    | "not_a_model"
    | "model_rejected"
    | "model_crashed"
    | "model_quarantined"
    | "bad_labels"
    | "not_a_classifier"
    | "not_a_detector"
    | "takes_no_image"
    | "answer_too_large"
    | "model_protected"
    | "runtime_unavailable"
    | "device_unavailable"
    | "invalid_tensor"
    | "unsupported_coding"
    | "model_unloaded"
    | "unknown_job"
    | "job_active"
    | "job_not_ended"
    | "no_result"
    | "result_removed"
    | "commands_not_allowed"
    | "idempotency_conflict"
    | "jobs_full"
    | "job_too_large"
    | "lease_too_short"
    | "measuring"
    | "queue_full"
    | "overloaded"
    | "shutting_down"
    | "not_ready"
    | "worker_lost"
    | "worker_timeout"
    | "worker_out_of_memory"
    | "inference_failed"
    | "storage_full"
    | "internal_error";

  interface Finding {
    code: CheckCode;
    verdict: Verdict;
    detail: string;
  }

  type Fit = "stretch" | "crop" | "letterbox";

  type Hint = "latency" | "throughput";

  interface ImageInfo {
    format: string;
    width: number;
    height: number;
    decoded_width: number;
    decoded_height: number;
    decode: "full" | "reduced" | "coarse";
    exif_orientation: number;
  }

  interface ImageInput {
    kind: "images";
    digests: string[];
  }

  interface Job {
    id: string;
    number: number;
    state: JobState;
    position: number | null;
    attempts: number;
    created_at: string;
    started_at: string | null;
    ended_at: string | null;
    progress: Progress | null;
    error: JobError | null;
    verdict: Verdict | null;
    stored_bytes: number;
    evicted: boolean;
    request: BenchmarkRequest | ProfileRequest | CommandRequest;
  }

  interface JobError {
    code: string;
    detail: string;
  }

  interface JobList {
    jobs: JobSummary[];
    next: number | null;
    counts: Record<string, number>;
    evicted: number;
    stored_bytes: number;
    quota_bytes: number;
  }

  type JobState = "queued" | "running" | "succeeded" | "failed" | "cancelled" | "interrupted";

  interface JobSummary {
    id: string;
    number: number;
    state: JobState;
    position: number | null;
    attempts: number;
    created_at: string;
    started_at: string | null;
    ended_at: string | null;
    progress: Progress | null;
    error: JobError | null;
    verdict: Verdict | null;
    stored_bytes: number;
    evicted: boolean;
    kind: "benchmark" | "profile" | "command";
    name: string | null;
    title: string;
  }

  type Kernels = "default" | "builtin";

  interface LatencySummary {
    count: number;
    mean_ms: number;
    std_ms: number | null;
    min_ms: number;
    p50_ms: number;
    p90_ms: number | null;
    p95_ms: number | null;
    p99_ms: number | null;
    max_ms: number;
    median_interval_ms: [number, number] | null;
    unsupported: Record<string, string>;
  }

  interface LeaseTime {
    left_s: number | null;
  }

  interface Limits {
    image_bytes: number;
    image_pixels: number;
    model_bytes: number;
    images_per_request: number;
    queue_length: number;
    request_timeout_s: number;
    worker_memory_bytes: number;
    connections: number;
  }

  type MetricKind = "gauge" | "counter";

  interface ModelDescription {
    name: string;
    digest: string;
    format: "tflite" | "openvino" | "onnx";
    parts: string[];
    size_bytes: number;
    embedded: boolean;
    inputs: TensorInfo[];
    outputs: TensorInfo[];
    task: Task;
    task_assumed: boolean;
    unfit: Record<string, string>;
    detection: DetectionReading | null;
    class_count: number | null;
    label_count: number | null;
    preprocessing: Preprocessing | null;
    preprocessing_assumed: boolean;
    output_kind: "logits" | "probabilities" | null;
    runtimes: Record<string, RuntimeCheck>;
    uploaded_at: string | null;
    source: string | null;
    licence: string | null;
  }

  interface ModelList {
    models: ModelDescription[];
    damaged: DamagedModel[];
    default: string;
    default_chosen: boolean;
  }

  interface ModelRef {
    name: string;
    digest: string;
  }

  interface OperatorProfile {
    number: number;
    name: string;
    delegated: boolean;
    kernel: string | null;
    operator: number | null;
    kind: string | null;
    output: string | null;
    output_shape: number[] | null;
    output_dtype: string | null;
    calls: number;
    mean_us: number;
    std_us: number | null;
    p50_us: number;
    p95_us: number | null;
    share: number;
    cumulative_share: number;
    macs: number | null;
    parameters: number | null;
    weight_bytes: number | null;
    activation_bytes: number | null;
    live_bytes: number | null;
    gflops: number | null;
  }

  type Precision = "f32" | "f16" | "bf16" | "int8";

  interface Prediction {
    index: number;
    label: string | null;
    score: number;
  }

  interface Preprocessing {
    input_range: [number, number] | [number, number][];
    fit: Fit;
  }

  interface Probe {
    before_ms: number;
    after_ms: number | null;
  }

  interface Problem {
    type: string;
    title: string;
    status: number;
    detail: string;
    instance: string | null;
    code: ErrorCode | string;
    hint: string | null;
    request_id: string | null;
    errors: Record<string, unknown>[] | null;
  }

  type ProfileMethod = "native" | "single-operator";

  interface ProfileRequest {
    name: string | null;
    priority: number;
    timeout_s: number;
    telemetry_interval_s: number;
    after_restart: "interrupt" | "requeue";
    kind: "profile";
    spec: ProfileSpec;
  }

  interface ProfileResult {
    macs: number | null;
    parameters: number | null;
    weight_bytes: number | null;
    peak_activation_bytes: number | null;
    peak_operator: number | null;
    arena_bytes: number | null;
    resident_before_load_bytes: number | null;
    peak_resident_bytes: number | null;
    kind: "profile";
    schema_version: number;
    complete: boolean;
    spec: ProfileSpec;
    model: string;
    model_digest: string;
    runtime: string;
    runtime_version: string;
    method: string;
    method_detail: string | null;
    device: string;
    precision: string | null;
    threads: number;
    load_ms: number;
    first_inference_ms: number;
    iterations: number;
    latency: LatencySummary | null;
    plain_p50_ms: number | null;
    operators: OperatorProfile[];
    explained: number | null;
    unattributed_us: number | null;
    windows: Window[];
    samples_ms: number[];
    probe: Probe | null;
    conditions: Conditions;
    validity: Validity;
  }

  interface ProfileSpec {
    model: string | null;
    runtime: string | null;
    device: string;
    precision: Precision | null;
    method: ProfileMethod | null;
    kernels: Kernels;
    threads: number;
    iterations: number;
    warm_up_iterations: number;
    seed: number;
  }

  interface Progress {
    phase: string;
    done: number;
    total: number | null;
    unit: string;
    fps: number | null;
    latency_p50_ms: number | null;
    cpu_temperature_celsius: number | null;
  }

  interface RandomInput {
    kind: "random";
    seed: number;
  }

  interface Rejection {
    runtime: string;
    device: string;
    reason: string;
  }

  interface RuntimeCheck {
    ok: boolean;
    detail: string | null;
    load_ms: number | null;
    first_inference_ms: number | null;
  }

  interface RuntimeDevice {
    name: string;
    available: boolean;
    detail: string;
  }

  interface RuntimeInfo {
    name: string;
    installed: boolean;
    version: string | null;
    default: boolean;
    delegates: string[];
    formats: string[];
    devices: RuntimeDevice[] | null;
    workers: number;
    note: string | null;
  }

  interface RuntimeUsed {
    name: string;
    version: string;
    device: string;
    delegate: string | null;
    threads: number;
  }

  type Scope = "read" | "infer" | "run" | "admin";

  interface SecurityInfo {
    token_required: boolean;
    tls: boolean;
    certificate_sha256: string | null;
  }

  interface Selection {
    requested: string;
    reason: string;
    rejected: Rejection[];
    events: DeviceEvent[];
    iterations: Record<string, number>;
  }

  interface SeriesInfo {
    metric: string;
    labels: Record<string, string>;
    unit: string;
    kind: MetricKind;
    source: string;
  }

  interface StageTimes {
    queue: number;
    load: number | null;
    decode: number;
    preprocess: number;
    inference: number;
    postprocess: number;
    suppression: number | null;
    total: number;
  }

  type Task = "classification" | "detection" | "tensor";

  interface TelemetrySample {
    schema_version: number;
    at: string;
    t_s: number;
    interval_s: number;
    values: Record<string, number | null>;
    info: Record<string, SeriesInfo>;
    unavailable: Record<string, string>;
  }

  interface TensorInfo {
    name: string;
    shape: number[];
    dtype: string;
    scale: number | null;
    zero_point: number | null;
  }

  interface Validity {
    verdict: Verdict;
    reasons: Finding[];
    checked: CheckCode[];
    not_checkable: Record<string, string>;
  }

  type Verdict = "ok" | "suspect" | "unreliable";

  interface Window {
    start_s: number;
    end_s: number;
    iterations: number;
    fps: number;
    p50_ms: number;
    max_ms: number;
  }
}
