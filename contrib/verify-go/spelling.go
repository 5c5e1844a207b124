package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Everything has one spelling: what is read is written again and compared.

const maxDepth = 32

var errNotCanonical = errors.New("not canonical JSON")

// unbase64 reads standard base64 with padding, and no other form of the same bytes.
func unbase64(text string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(data) != text {
		return nil, errors.New("not base64 in its one spelling")
	}
	return data, nil
}

// decimal reads a number from 0 to 2^63 - 1 without sign or leading zero.
func decimal(text string) (int64, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 || strconv.FormatInt(number, 10) != text {
		return 0, errors.New("not a decimal number")
	}
	return number, nil
}

// readJSON reads canonical JSON (RFC 8785); all numbers are doubles.
func readJSON(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, errNotCanonical
	}
	var written bytes.Buffer
	if err := writeJSON(&written, value, 0); err != nil || !bytes.Equal(written.Bytes(), data) {
		return nil, errNotCanonical
	}
	return value, nil
}

// readObject reads a canonical JSON object with exactly these members.
func readObject(data []byte, names ...string) (map[string]any, error) {
	value, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok || !hasExactly(object, names...) {
		return nil, fmt.Errorf("not an object of %s", strings.Join(names, " and "))
	}
	return object, nil
}

func hasExactly(object map[string]any, names ...string) bool {
	for _, name := range names {
		if _, ok := object[name]; !ok {
			return false
		}
	}
	return len(object) == len(names)
}

func writeJSON(out *bytes.Buffer, value any, depth int) error {
	switch v := value.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(v))
	case json.Number:
		number, err := strconv.ParseFloat(v.String(), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsInf(number, 0) {
			return errNotCanonical
		}
		out.WriteString(writeNumber(number))
	case string:
		writeString(out, v)
	case []any:
		if depth == maxDepth {
			return errNotCanonical
		}
		out.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeJSON(out, item, depth+1); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	case map[string]any:
		if depth == maxDepth {
			return errNotCanonical
		}
		out.WriteByte('{')
		for i, name := range sortedNames(v) {
			if i > 0 {
				out.WriteByte(',')
			}
			writeString(out, name)
			out.WriteByte(':')
			if err := writeJSON(out, v[name], depth+1); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	}
	return nil
}

// sortedNames orders members by their UTF-16 code units.
func sortedNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := utf16.Encode([]rune(names[i])), utf16.Encode([]rune(names[j]))
		for k := 0; k < len(a) && k < len(b); k++ {
			if a[k] != b[k] {
				return a[k] < b[k]
			}
		}
		return len(a) < len(b)
	})
	return names
}

func writeString(out *bytes.Buffer, text string) {
	out.WriteByte('"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\b':
			out.WriteString(`\b`)
		case '\t':
			out.WriteString(`\t`)
		case '\n':
			out.WriteString(`\n`)
		case '\f':
			out.WriteString(`\f`)
		case '\r':
			out.WriteString(`\r`)
		case '"', '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		default:
			if c < 0x20 {
				fmt.Fprintf(out, `\u%04x`, c)
			} else {
				out.WriteByte(c)
			}
		}
	}
	out.WriteByte('"')
}

// writeNumber writes a double as ECMAScript does.
func writeNumber(number float64) string {
	if number == 0 {
		return "0"
	}
	if magnitude := math.Abs(number); magnitude >= 1e-6 && magnitude < 1e21 {
		return strconv.FormatFloat(number, 'f', -1, 64)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(number, 'e', -1, 64), "e")
	// Go pads the exponent to two digits.
	return mantissa + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0")
}
