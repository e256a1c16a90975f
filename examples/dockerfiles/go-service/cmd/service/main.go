// A service that answers each connection with one line.
package main

import (
	"fmt"
	"os"

	"example.org/service/internal/answer"
)

var version = "unset"

func main() {
	fmt.Fprintln(os.Stderr, answer.To(version, os.Args[1:]))
}
