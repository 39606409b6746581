/** bench/results/ of the repository; this runs from dist/bench/micro/. */
export const RESULTS = new URL("../../../bench/results/", import.meta.url);
