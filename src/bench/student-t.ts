/**
 * Student's t distribution: how far the mean of a few samples may lie from the truth, in units of its estimated standard error.
 * Returns t such that the share `confidence` (between 0 and 1) lies within -t and t. Throws RangeError for less than one degree of freedom.
 */
export function studentT(confidence: number, degreesOfFreedom: number): number {
  const degrees = Math.floor(degreesOfFreedom);
  if (!(degrees >= 1)) throw new RangeError(`${degreesOfFreedom} degrees of freedom`);
  // The share grows with the angle, so that halving finds it.
  let low = 0;
  let high = Math.PI / 2;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (shareWithin(middle, degrees) < confidence) low = middle;
    else high = middle;
  }
  return Math.sqrt(degrees) * Math.tan((low + high) / 2);
}

/**
 * Share of the distribution within -t and t, for whole degrees of freedom, where the angle is atan(t / sqrt(degrees)): Abramowitz
 * and Stegun, 26.7.3 and 26.7.4.
 */
function shareWithin(angle: number, degrees: number): number {
  const cosine = Math.cos(angle);
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let power = isOdd ? 3 : 2; power <= degrees - 2; power += 2) {
    term *= ((power - 1) / power) * cosine ** 2;
    sum += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}
