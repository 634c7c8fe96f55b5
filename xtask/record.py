"""Records a command on a terminal and draws what the screen showed as an SVG that moves.

usage: record.py OUTPUT COLUMNS LINES TITLE -- COMMAND...

Needs tmux. The environment of this script is the command's. The last screen stays for four seconds.
"""

import html
import re
import shlex
import subprocess
import sys
import time

# Screens a second; the display itself changes at most ten times.
RATE = 5
# A recording longer than this is ended.
LIMIT_SECONDS = 120
LAST_SECONDS = 4
CELL, ROW, MARGIN = 8.4, 18, 14
COLOURS = {
    "30": "#484f58", "31": "#ff7b72", "32": "#3fb950", "33": "#d29922", "34": "#58a6ff",
    "35": "#bc8cff", "36": "#39c5cf", "37": "#c9d1d9",
}
FOREGROUND, BACKGROUND, DIM = "#c9d1d9", "#0d1117", "#8b949e"


def tmux(*arguments):
    return subprocess.run(["tmux", "-L", "mtlog-record", *arguments], check=True, capture_output=True, text=True).stdout


def record(columns, lines, title, command):
    """Runs the command in tmux and returns its screens with the time of each."""
    prompt = f"printf '\\033[1m$ %s\\033[0m\\n' {shlex.quote(title)}; "
    script = prompt + shlex.join(command) + "; printf '\\033[2mexit %s\\033[0m' $?; sleep 1"
    tmux("new-session", "-d", "-s", "record", "-x", str(columns), "-y", str(lines), "sh", "-c", script)
    tmux("set-option", "-g", "status", "off")
    frames, start = [], time.monotonic()
    while time.monotonic() - start < LIMIT_SECONDS:
        try:
            screen = tmux("capture-pane", "-e", "-p", "-t", "record")
        except subprocess.CalledProcessError:
            break
        if not frames or frames[-1][1] != screen:
            frames.append((time.monotonic() - start, screen))
        time.sleep(1 / RATE)
    return frames


def spans(line):
    """Splits a line with SGR codes into pieces of one style: column, text, colour, whether bold."""
    colour, bold, dim, column = None, False, False, 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b["):
            for code in piece[2:-1].split(";"):
                if code in ("", "0"):
                    colour, bold, dim = None, False, False
                elif code == "1":
                    bold = True
                elif code == "2":
                    dim = True
                elif code in ("22", "39"):
                    bold, dim, colour = (False, False, colour) if code == "22" else (bold, dim, None)
                elif code in COLOURS:
                    colour = COLOURS[code]
        elif piece:
            yield column, piece, colour or (DIM if dim else FOREGROUND), bold
            column += len(piece)


def draw(frames, columns, lines):
    width, height = columns * CELL + 2 * MARGIN, lines * ROW + 2 * MARGIN
    total = frames[-1][0] + LAST_SECONDS
    style, body = [], []
    for number, (begin, screen) in enumerate(frames):
        end = frames[number + 1][0] if number + 1 < len(frames) else total
        first, last = 100 * begin / total, 100 * end / total
        style.append(
            f"@keyframes f{number}{{0%,{max(first - 0.001, 0):.3f}%{{opacity:0}}"
            f"{first:.3f}%,{max(last - 0.001, first):.3f}%{{opacity:1}}{last:.3f}%,100%{{opacity:0}}}}"
            f"#f{number}{{animation:f{number} {total:.2f}s step-end infinite}}"
        )
        texts = []
        for row, line in enumerate(screen.rstrip("\n").split("\n")[:lines]):
            for column, text, colour, bold in spans(line):
                if not text.strip():
                    continue
                weight = ' font-weight="bold"' if bold else ""
                x, y = MARGIN + column * CELL, MARGIN + (row + 1) * ROW - 5
                length = f' textLength="{len(text) * CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
                texts.append(
                    f'<text x="{x:.1f}" y="{y}" fill="{colour}"{weight}{length}>{html.escape(text)}</text>'
                )
        # A viewer that does not animate shows the last screen.
        visible = "1" if number + 1 == len(frames) else "0"
        body.append(f'<g id="f{number}" opacity="{visible}">{"".join(texts)}</g>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">'
        f"<style>text{{font:14px ui-monospace,Menlo,Consolas,monospace;white-space:pre}}{''.join(style)}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>{"".join(body)}</svg>\n'
    )


def main():
    output, columns, lines, title, separator, *command = sys.argv[1:]
    if separator != "--" or not command:
        sys.exit(__doc__)
    frames = record(int(columns), int(lines), title, command)
    with open(output, "w", encoding="utf-8") as file:
        file.write(draw(frames, int(columns), int(lines)))
    print(f"{output}: {len(frames)} screens in {frames[-1][0]:.1f} s")


main()
