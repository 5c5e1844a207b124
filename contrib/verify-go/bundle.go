package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

var (
	tileName = regexp.MustCompile(`^tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?$`)
	bodyName = regexp.MustCompile(`^bodies/([0-9]+)\.json$`)
	tarName  = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_.-]*(?:/[0-9A-Za-z_][0-9A-Za-z_.-]*)*$`)
	tarSize  = regexp.MustCompile(`^[0-7]{11}$`)
)

var errName = errors.New("a name that no bundle has")

// errMalformed wraps what makes a bundle malformed, as against unreadable.
type errMalformed struct{ error }

// checkPath tells whether a bundle may have a file of this name.
func checkPath(path string) error {
	if path == "checkpoint" || path == "manifest.json" {
		return nil
	}
	if strings.HasPrefix(path, "bodies/") {
		_, err := bodyIndex(path)
		return err
	}
	match := tileName.FindStringSubmatch(path)
	if match == nil {
		return errName
	}
	digits := strings.TrimLeft(strings.NewReplacer("x", "", "/", "").Replace(match[2]), "0")
	index, err := decimal(max(digits, "0"))
	if err != nil {
		return errName
	}
	width := 256
	if match[3] != "" {
		width, _ = strconv.Atoi(match[3])
	}
	if level, err := strconv.Atoi(match[1]); err == nil && level > 63 || width < 1 || width > 256 {
		return errName
	}
	level := match[1]
	if level != "entries" {
		number, _ := strconv.Atoi(level)
		level = strconv.Itoa(number)
	}
	if tilePath(level, index, width) != path {
		return errName
	}
	return nil
}

func bodyIndex(path string) (int64, error) {
	match := bodyName.FindStringSubmatch(path)
	if match == nil {
		return 0, errName
	}
	return decimal(match[1])
}

// tilePath writes the index in groups of three digits, and the width of a partial tile.
func tilePath(level string, index int64, width int) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		path = fmt.Sprintf("x%03d/%s", index%1000, path)
	}
	path = "tile/" + level + "/" + path
	if width < 256 {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

// readBundle returns the files of a directory or an archive, by name.
func readBundle(path string) (map[string][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return readTar(data)
	}
	files := map[string][]byte{}
	root := strings.TrimRight(path, "/") + "/"
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return errMalformed{errors.New("a bundle with something that is not a file")}
		}
		inside := filepath.ToSlash(strings.TrimPrefix(name, root))
		if err := checkPath(inside); err != nil {
			return errMalformed{err}
		}
		files[inside], err = os.ReadFile(name)
		return err
	})
	return files, err
}

// readTar reads an archive that is exactly what its files give.
func readTar(data []byte) (map[string][]byte, error) {
	bad := errMalformed{errors.New("an archive that is not in its one form")}
	files := map[string][]byte{}
	var names []string
	var again bytes.Buffer
	at := 0
	for at < len(data) && data[at] != 0 {
		if at+512 > len(data) {
			return nil, bad
		}
		name := strings.TrimRight(string(data[at:at+100]), "\x00")
		digits := string(data[at+124 : at+135])
		if !tarName.MatchString(name) || !tarSize.MatchString(digits) {
			return nil, bad
		}
		size, _ := strconv.ParseInt(digits, 8, 64)
		start := at + 512
		if int64(len(data)-start) < size {
			return nil, bad
		}
		content := data[start : start+int(size)]
		padding := (512 - int(size)%512) % 512
		again.Write(tarHeader(name, size))
		again.Write(content)
		again.Write(make([]byte, padding))
		names = append(names, name)
		files[name] = content
		at = start + int(size) + padding
	}
	again.Write(make([]byte, 1024))
	if !bytes.Equal(again.Bytes(), data) || !sort.StringsAreSorted(names) || len(files) != len(names) {
		return nil, bad
	}
	return files, nil
}

// tarHeader writes a ustar header: regular file, mode 0644, owner 0, time 0.
func tarHeader(name string, size int64) []byte {
	header := make([]byte, 512)
	copy(header, name)
	copy(header[100:], "0000644\x000000000\x000000000\x00")
	copy(header[124:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	copy(header[148:], "        0")
	copy(header[257:], "ustar\x0000")
	copy(header[329:], "0000000\x000000000\x00")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	return header
}
