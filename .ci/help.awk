# Prints the words of the Makefile with their comments, under the headings that "##@" lines give.
BEGIN {
    FS = ":.*## "
    colour = (ENVIRON["NO_COLOR"] == "" && ENVIRON["TERM"] != "" && ENVIRON["TERM"] != "dumb")
    bold = colour ? "\033[1m" : ""
    cyan = colour ? "\033[36m" : ""
    plain = colour ? "\033[0m" : ""
    printf "%sFink%s, an astronomical alert broker\n", bold, plain
}
/^##@ / { printf "\n%s%s%s\n", bold, substr($0, 5), plain }
/^[a-z-]+:.*## / {
    sub(/^ +/, "", $2)
    printf "  %smake %-11s%s %s\n", cyan, $1, plain, $2
}
