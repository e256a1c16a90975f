// Package answer says what is said.
package answer

import "strings"

// To is the answer of a version to words.
func To(version string, words []string) string {
	return version + ": " + strings.Join(words, " ")
}
