export { configure } from "./scratch";
