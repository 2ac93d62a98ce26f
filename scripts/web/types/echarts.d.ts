// As much of Apache ECharts as the pages use. Options are plain objects here: ECharts' own documentation says what they
// may hold.

declare namespace echarts {
  type Option = Record<string, unknown>;

  interface Chart {
    setOption(option: Option, how?: { notMerge?: boolean }): void;
    resize(): void;
    dispose(): void;
  }

  function init(element: HTMLElement, theme: null, how: { renderer: "canvas" | "svg" }): Chart;

  /** What a tooltip's formatter is given for each series. */
  interface TooltipPoint {
    axisValue: number;
    seriesName: string;
    value: readonly [number, number | null];
  }

  /** What `renderItem` of a custom series is given to draw with. */
  interface RenderApi {
    /** The value of a dimension of the item. */
    value(dimension: number): number;
    /** From data to pixels. */
    coord(point: readonly [number, number]): [number, number];
  }

  interface RenderParams {
    coordSys: { x: number; y: number; width: number; height: number };
  }
}

/** The bundle is a script of its own, which runs before the modules. */
interface Window {
  echarts: typeof echarts;
}
