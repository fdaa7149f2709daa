/**
 * Kills every child process when this process ends.
 *
 * Every child leads its own process group. When this process exits, it kills the groups. When it is
 * killed, it can't: most children then exit because their stdin ends, and a reaper kills the others.
 * The reaper is one small `sh` for all children, which gets the ids of their groups on its stdin, and
 * kills the groups that are left when its stdin ends. It runs only while there are children.
 *
 * (The kernel's parent-death signal exists on Linux only, depends on the thread that starts the child,
 * and doesn't reach the child's own children.)
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** Whether the system has process groups. */
export const HAS_GROUPS: boolean = process.platform !== "win32";

/** The reaper's program. It reads groups as lines of a sign and a number. */
const REAPER = `trap "" HUP INT TERM
groups=" "
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) left=" "; for each in $groups; do [ "$each" = "$group" ] || left="$left$each "; done
       groups=$left ;;
  esac
done
[ "$groups" = " " ] && exit
for each in $groups; do kill -TERM "-$each" 2>/dev/null; done
sleep 1
for each in $groups; do kill -KILL "-$each" 2>/dev/null; done
`;

/** Keeps the process groups that must end with this process. */
class ChildGroups {
  readonly #groups = new Set<number>();
  #reaper: ChildProcess | undefined;

  /** Adds a group. */
  add(group: number): void {
    if (!HAS_GROUPS) return;
    if (this.#groups.size === 0) {
      process.on("exit", this.#killAll);
      this.#reaper = startReaper();
    }
    this.#groups.add(group);
    this.#send("+", group);
  }

  /** Removes a group whose leader has exited, after killing the rest of it. */
  remove(group: number): void {
    if (!this.#groups.delete(group)) return;
    killGroup(group, "SIGKILL");
    this.#send("-", group);
    if (this.#groups.size > 0) return;
    process.off("exit", this.#killAll);
    this.#reaper?.stdin?.end();
    this.#reaper = undefined;
  }

  #send(sign: "+" | "-", group: number): void {
    this.#reaper?.stdin?.write(`${sign} ${group}\n`);
  }

  readonly #killAll = (): void => {
    for (const group of this.#groups) killGroup(group, "SIGKILL");
  };
}

/** The groups of this process: one listener of its `exit` serves them all. */
export const childGroups: ChildGroups = new ChildGroups();

/** Sends a signal to a whole group. Ignores a group that no longer exists. */
export function killGroup(group: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The group no longer exists.
  }
}

/** Starts the reaper. If that fails, children still exit when their stdin ends. */
function startReaper(): ChildProcess | undefined {
  try {
    const reaper = spawn("/bin/sh", ["-c", REAPER, "mooring-reaper"], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      env: { PATH: "/usr/bin:/bin" },
    });
    reaper.on("error", () => {});
    reaper.stdin.on("error", () => {});
    reaper.unref();
    return reaper;
  } catch {
    return undefined;
  }
}
