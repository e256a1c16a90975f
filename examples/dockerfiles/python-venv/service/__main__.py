import sys


def main():
    print("service", sys.argv[1:])


if __name__ == "__main__":
    main()
